"""`verify_audit`: check the chain of every organization's audit trail."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attribution.audit import trail
from attribution.isolation.transaction import tenant
from attribution.tenancy.access import every_organization


class Command(BaseCommand):
    """Name the first altered row; print each chain's anchor, to be kept elsewhere."""

    help = "Check the audit trail's hash chains and print their anchors."

    def handle(self, *args: Any, **options: Any) -> None:
        """Visit every organization in a tenant transaction of its own."""
        faults = 0
        for organization_id in every_organization():
            with tenant(organization_id):
                fault = trail.verify()
                seq, digest = trail.anchor()
            if fault:
                faults += 1
                self.stderr.write(
                    f"{organization_id} broken at {fault.seq} ({fault.entry_id}): {fault.reason}"
                )
            else:
                self.stdout.write(f"{organization_id} {seq} {digest}")
        if faults:
            raise CommandError(f"{faults} audit trails are broken")
