"""Sends live calls of the demo organization through the gateway."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.data_folder import DataFolder
from config.demo import traffic


class Command(BaseCommand):
    """`./run demo-traffic [--rate N] [--seconds N]`, beside a running `./run up`."""

    help = "Send calls to the running demo so that its dashboards move; Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add how many and how long."""
        parser.add_argument("--rate", type=float, default=3.0, help="calls per second")
        parser.add_argument("--seconds", type=float, default=None, help="stop after so long")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send until the time is over or somebody has seen enough."""
        folder = DataFolder(Path(os.environ.get("TOLLKEEPER_VAR", "var")))
        told = folder.read_json("demo.json")
        if told is None:
            raise CommandError(f"There is no demo in {folder.path}: start it with ./run up.")
        try:
            traffic.send(
                told,
                per_second=options["rate"],
                seconds=options["seconds"],
                report=self.stdout.write,
            )
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
