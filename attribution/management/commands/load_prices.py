"""Load the published price list into the shared list."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.translation import gettext as _

from attribution.prices import catalog, published


class Command(BaseCommand):
    """Run as the owner of the tables; running it again changes nothing."""

    help = _(
        "Load the published price list into the shared list; old prices are closed, not edited."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the list and say what changed."""
        result = catalog.load(published.read(), at=timezone.now())
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
