"""Make a database ready in one process: migrate it, make its partitions and, for the demo, seed it once. Run as `python -m config.prepare`."""

import io
import json
import os
import sys
from pathlib import Path

import django
from django.core.management import call_command

from config.data_folder import SEED, DataFolder
from config.terminal import step


def main(arguments: list[str]) -> None:
    """Migrate as the owner; with `--seed FOLDER`, seed the demo unless that data folder remembers it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    with step("Migrating the database"):
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        call_command("create_partitions", stdout=io.StringIO())
    if arguments[:1] == ["--seed"]:
        seed(DataFolder(Path(arguments[1])))


def seed(folder: DataFolder) -> None:
    """Seed the demo and keep what people need to enter it; the key is shown only this once."""
    if folder.read_json(SEED) is not None:
        return
    with step("Loading prices"):
        call_command("load_prices", stdout=io.StringIO())
    answer = io.StringIO()
    with step("Seeding the demo with 90 days of calls"):
        call_command("seed_demo", "--json", stdout=answer)
    last_line = answer.getvalue().strip().splitlines()[-1]
    folder.write_private(SEED, json.dumps(json.loads(last_line)))


if __name__ == "__main__":
    main(sys.argv[1:])
