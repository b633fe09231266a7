"""Seeds the demo; running it again changes nothing and says the same."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from config.demo import seeding


class Command(BaseCommand):
    """`manage.py seed_demo [--json]`."""

    help = "Create the two organizations of the demo, with 90 days of calls, and say who may enter."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the form of the answer."""
        parser.add_argument("--json", action="store_true", help="answer with one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed and tell."""
        told = seeding.seed(at=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{told['organization']}: API key {told['api_key']}")
        for login in told["logins"]:
            fields = (login["organization"], login["role"], login["email"], login["password"])
            self.stdout.write("  ".join(fields))
