"""Load the published price list into the shared list."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from attribution.prices import catalog, published, second
from attribution.prices.second import SecondListError


class Command(BaseCommand):
    """Run as the owner of the tables; running it again changes nothing."""

    help = _(
        "Load the published price list into the shared list; old prices are closed, not edited."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the list to hold the first against."""
        parser.add_argument(
            "--second",
            type=Path,
            help="a second list (litellm's model_prices.json or .gz); differences over 1 % wait",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the list and say what changed."""
        try:
            other = second.read(options["second"]) if options.get("second") else None
        except SecondListError as error:
            raise CommandError(str(error)) from error
        result = catalog.load(published.read(), at=timezone.now(), second=other)
        if result.is_change:
            self.stdout.write(
                _("%(opened)d prices opened, %(closed)d closed, %(unchanged)d unchanged.")
                % {
                    "opened": result.opened,
                    "closed": result.closed,
                    "unchanged": result.unchanged,
                }
            )
        else:
            self.stdout.write(
                _("Nothing changed: %(unchanged)d prices are up to date.")
                % {"unchanged": result.unchanged}
            )
        for model in result.held:
            self.stdout.write(_("Waits for a person, tenfold change: %(model)s") % {"model": model})
        for model in result.differing:
            self.stdout.write(
                _("Waits for a person, the second list differs: %(model)s") % {"model": model}
            )
        for model in result.disputed:
            self.stdout.write(
                _("Stays in force, the second list differs: %(model)s") % {"model": model}
            )
