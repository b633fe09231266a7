"""Derives all rollups anew from the ledger; for after a logical restore, or a difference found."""

from typing import Any

from django.core.management.base import BaseCommand

from attribution.ledger import rollups


class Command(BaseCommand):
    """`manage.py rollups_rebuild`."""

    help = "Delete the rollups of all organizations and recompute them from the ledger."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild in one transaction; pages read the old figures until it commits."""
        self.stdout.write(f"{rollups.rebuild()} ledger entries folded")
