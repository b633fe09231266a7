"""Decide about waiting prices of the shared list, for every organization."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from attribution import money
from attribution.audit.trail import Actor
from attribution.prices import acceptance
from attribution.prices.acceptance import ConfirmationNeededError
from attribution.prices.catalog import WRITER
from attribution.prices.models import Price

BY = Actor("command")


class Command(BaseCommand):
    """`manage.py decide_price [PROVIDER MODEL --accept | --reject]`; run as the owner of the tables."""

    help = _("Without a name: list the shared prices that wait, with what each list says.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which model, and what to do about it."""
        parser.add_argument("provider", nargs="?")
        parser.add_argument("model", nargs="?")
        verdict = parser.add_mutually_exclusive_group()
        verdict.add_argument("--accept", action="store_true", help="put it in force from now on")
        verdict.add_argument("--reject", action="store_true", help="keep what is in force")
        parser.add_argument("--confirm", action="store_true", help="the unit was checked")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show what waits, or decide about one model."""
        waiting = acceptance.waiting().using(WRITER).order_by("provider", "model", "effective_from")
        if not options["model"]:
            self._show(waiting)
            return
        named = waiting.filter(provider=options["provider"], model=options["model"])
        found = named.first()
        if found is None:
            raise CommandError(_("No price of this model waits."))
        self._decide(found, options)

    def _show(self, waiting: Any) -> None:
        for price in waiting:
            said = [
                f"{one.token_class} {money.text(one.own)} / {money.text(one.other)}"
                for one in acceptance.compared(price)
            ]
            self.stdout.write(f"{price.provider} {price.model}: {', '.join(said) or '-'}")
        if not waiting:
            self.stdout.write(_("No price waits."))

    def _decide(self, price: Price, options: dict[str, Any]) -> None:
        at = timezone.now()
        if options["reject"]:
            acceptance.reject(price, by=BY, at=at)
            self.stdout.write(_("%(price)s: rejected.") % {"price": price})
            return
        if not options["accept"]:
            raise CommandError(_("Say --accept or --reject."))
        try:
            acceptance.accept(price, by=BY, at=at, is_confirmed=options["confirm"])
        except ConfirmationNeededError as error:
            text = _("Check the unit of %(classes)s, then say --confirm.")
            raise CommandError(text % {"classes": error}) from error
        self.stdout.write(_("%(price)s: accepted.") % {"price": price})
