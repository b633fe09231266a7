"""Verifies the invariants I1 to I9 of every organization; exits with 1 when one does not hold."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attribution.isolation.transaction import required, tenant
from attribution.tenancy.access import every_organization
from attribution.tenancy.models import Organization
from budgets.reservations import books


class Command(BaseCommand):
    """`manage.py verify_ledger [SLUG …] [--reopen REASON]`."""

    help = "Verify the books of all active organizations, or of those named; 1 on a breach."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the organizations, and the way back from a stop."""
        parser.add_argument("organization", nargs="*", help="short names; without, all")
        parser.add_argument(
            "--reopen",
            metavar="REASON",
            default="",
            help="admit calls again where the books are clean; the reason goes to the audit trail",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify one organization after the other, each in its own transaction."""
        found = 0
        for organization_id in every_organization():
            with tenant(organization_id):
                found += self._verify(set(options["organization"]), options["reopen"])
        if found:
            raise CommandError(f"{found} breaches")

    def _verify(self, wanted: set[str], reopen: str) -> int:
        organization = Organization.objects.get(pk=required())
        if wanted and organization.slug not in wanted:
            return 0
        breaches = books.verify()
        for breach in breaches:
            self.stderr.write(f"{organization.slug}: {breach}")
        if reopen:
            books.reopen(reason=reopen)
            organization.refresh_from_db()
        state = "stopped" if organization.admissions_stopped_at else "admitting"
        self.stdout.write(f"{organization.slug}: {len(breaches)} breaches, {state}")
        return len(breaches)
