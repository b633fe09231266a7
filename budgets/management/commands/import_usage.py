"""Imports a CSV of calls that were made elsewhere; importing it again changes nothing."""

import json
import time
from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Sum
from django.utils import timezone

from attribution import money
from attribution.imports.columns import FIELDS, Layout, MappingError
from attribution.isolation.transaction import tenant
from attribution.tenancy.access import every_organization
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from budgets.reservations import importing
from budgets.reservations.importing import Checked, Imported


class Command(BaseCommand):
    """`manage.py import_usage ORGANIZATION FILE --map FIELD=COLUMN … --set FIELD=VALUE …`."""

    help = f"Import a CSV (or .gz) of calls. Fields: {', '.join(FIELDS)}."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shown_at = 0.0

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add file, mapping and name of the source."""
        parser.add_argument("organization", help="short name of the organization")
        parser.add_argument("file", type=Path)
        parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN")
        parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
        parser.add_argument("--zone", default="UTC", help="zone of times without one")
        parser.add_argument("--mapping", type=Path, help="a mapping saved as JSON")
        parser.add_argument("--save-mapping", type=Path, help="write the mapping there")
        parser.add_argument("--source", default="import", help="where the calls were reported")
        parser.add_argument("--skip-bad", action="store_true", help="leave bad rows out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the whole file, then record it batch by batch."""
        organization_id = _find(options["organization"])
        path: Path = options["file"]
        try:
            layout = _layout(options)
            self._save(layout, options["save_mapping"])
            checked = importing.check(
                path, layout, organization_id, at=timezone.now(), progress=self._progress
            )
        except (MappingError, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from error
        self._judge(checked, is_lenient=options["skip_bad"])
        done = importing.run(
            path, layout, organization_id, source=options["source"], progress=self._progress
        )
        self._report(done, organization_id, options["source"])

    def _judge(self, checked: Checked, *, is_lenient: bool) -> None:
        for problem in checked.problems:
            self.stderr.write(f"line {problem.line}: {problem.reason}")
        if checked.problem_count and not is_lenient:
            raise CommandError(
                f"{checked.problem_count} of {checked.rows + checked.problem_count} rows are bad;"
                " nothing was imported. Correct them, or leave them out with --skip-bad."
            )

    def _report(self, done: Imported, organization_id: UUID, source: str) -> None:
        for reason, count in done.rejected.items():
            self.stderr.write(f"{count} rows were rejected: {reason}")
        self.stdout.write(
            f"{done.results['recorded']} recorded ({money.text(done.cost)} USD,"
            f" {done.unpriced} unpriced), {done.results['duplicate']} known already,"
            f" {done.results['rejected']} rejected"
        )
        with tenant(organization_id):
            whole = UsageRecord.objects.filter(source=source)
            sums = whole.aggregate(count=Count("id"), cost=Sum("cost"))
        self.stdout.write(
            f"{source} now holds {sums['count']} calls of {money.text(sums['cost'] or Decimal(0))} USD"
        )

    def _save(self, layout: Layout, path: Path | None) -> None:
        if path:
            path.write_text(json.dumps(layout.as_dict(), indent=2) + "\n", encoding="utf-8")

    def _progress(self, verb: str, count: int) -> None:
        if time.monotonic() - self._shown_at >= 1:
            self._shown_at = time.monotonic()
            self.stdout.write(f"{count} rows {verb} …")


def _layout(options: dict[str, Any]) -> Layout:
    saved: dict[str, Any] = {}
    if options["mapping"]:
        saved = json.loads(options["mapping"].read_text(encoding="utf-8"))
    return Layout(
        {**saved.get("map", {}), **_pairs(options["map"])},
        {**saved.get("set", {}), **_pairs(options["set"])},
        saved.get("zone", options["zone"]),
    )


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, separator, _ in pairs if not separator]:
        raise MappingError(f"{wrong[0]}: write FIELD=COLUMN or FIELD=VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _find(slug: str) -> UUID:
    for organization_id in every_organization():
        with tenant(organization_id):
            if Organization.objects.filter(pk=organization_id, slug=slug).exists():
                return organization_id
    raise CommandError(f"there is no active organization {slug}")
