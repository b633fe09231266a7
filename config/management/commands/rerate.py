"""Gives calls the price that was in force when they were made; without --apply it only shows what would change."""

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from attribution import money
from attribution.audit.trail import Actor
from attribution.calendar import month_bounds
from attribution.isolation.transaction import tenant
from attribution.tenancy.access import every_organization
from attribution.tenancy.models import Organization
from budgets.reservations import corrections
from budgets.reservations.corrections import Figures, Preview, Selection

BY = Actor("command")


class Command(BaseCommand):
    """`manage.py rerate ORGANIZATION [--month 2026-11] [--unpriced] [--apply --reason TEXT]`."""

    help = "Re-rate the calls of an open month; running it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which calls, and whether to write."""
        parser.add_argument("organization", help="short name of the organization")
        parser.add_argument("--month", help="an open month, UTC, as 2026-11; the running one")
        parser.add_argument("--provider", default="", help="only calls of this provider")
        parser.add_argument("--model", default="", help="only calls of this model")
        parser.add_argument("--unpriced", action="store_true", help="only calls without a cost")
        parser.add_argument("--apply", action="store_true", help="book the difference")
        parser.add_argument("--reason", default="", help="why, for the books; needed to apply")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show the difference, or book it page by page."""
        organization_id = _find(options["organization"])
        selection = _selection(options)
        if not options["apply"]:
            with tenant(organization_id):
                self._show(corrections.preview(selection))
            self.stdout.write("Nothing was written; --apply books it.")
            return
        if not options["reason"]:
            raise CommandError("--apply needs a --reason")
        self._apply(organization_id, selection, options["reason"])

    def _apply(self, organization_id: UUID, selection: Selection, reason: str) -> None:
        calls, after, is_over = 0, None, False
        while not is_over:
            with tenant(organization_id):
                done, after = corrections.apply(selection, by=BY, reason=reason, after=after)
            is_over = after is None
            calls += done.total.calls
            if done.total.calls:
                self.stdout.write(
                    f"{calls} calls re-rated, {money.text(done.total.delta)} USD more"
                )
        self.stdout.write(f"{calls} calls were re-rated.")

    def _show(self, preview: Preview) -> None:
        self._table("cost center", preview.by_cost_center)
        periods = preview.by_period.items()
        self._table("budget", {f"{one.name} from {one.starts_at:%F}": row for one, row in periods})
        self._table("", {"all": preview.total})
        for reason, count in preview.kept.items():
            self.stdout.write(f"{count} calls stay as they are: {reason}")

    def _table(self, title: str, figures: Mapping[str, Figures]) -> None:
        for name, row in sorted(figures.items()):
            self.stdout.write(
                f"{title} {name or 'unattributed'}: {row.calls} calls ({row.unpriced} unpriced),"
                f" {row.tokens} tokens, {money.text(row.was)} -> {money.text(row.cost)} USD"
                f" ({money.text(row.delta)})".lstrip()
            )


def _selection(options: dict[str, Any]) -> Selection:
    today = timezone.now().astimezone(UTC).date()
    try:
        day = datetime.strptime(options["month"], "%Y-%m").date() if options["month"] else today  # noqa: DTZ007  a month of UTC
    except ValueError as error:
        raise CommandError("--month is written as 2026-11") from error
    start, end = month_bounds(day, ZoneInfo("UTC"))
    return Selection(start, end, options["provider"], options["model"], options["unpriced"])


def _find(slug: str) -> UUID:
    for organization_id in every_organization():
        with tenant(organization_id):
            if Organization.objects.filter(pk=organization_id, slug=slug).exists():
                return organization_id
    raise CommandError(f"there is no active organization {slug}")
