"""Makes the partitions of the months around now; run once after `migrate`, then beat does it."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from attribution.usage import partitions


class Command(BaseCommand):
    """`manage.py create_partitions`."""

    help = "Create the missing monthly partitions of last month, this one and the next three."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create them and say how many were missing."""
        self.stdout.write(f"{partitions.ensure(timezone.now())} partitions created")
