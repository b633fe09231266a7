"""Races for the last money of three nested budgets; the long form of what the tests run shortly.

`python -m tests.concurrency.races --races 10000 --seed 1` races at the store layer: each admission is
compared with an answer worked out beside it, so a limit passed at a commit, a refusal of money that
fits, a wrong figure in a refusal, a moved limit that acts late or a counter that differs from what was
settled each fail the run (exit code 1). `--http 200 --processes 2` races through gateway processes.
Prints what it found as JSON. Servers of its own, new ones each thousand races.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import django

from tests.concurrency.report import Found

CHUNK = 1000  # races on one set of servers: half a million calls
RACES = 50  # of one organization, whose books are then verified
ROOT = Path(__file__).resolve().parent.parent.parent


def run(
    dsns: tuple[str, str],
    *,
    seed: int,
    races: range,
    gateways: int = 8,
    admit: str = "budgets_admit",
) -> Found:
    """Run races by their numbers over connections of the gateway's and the owner's role."""
    from attribution.isolation.transaction import tenant  # noqa: PLC0415 -- Django must be set up first
    from budgets.reservations import books  # noqa: PLC0415
    from tests.concurrency.crew import crew  # noqa: PLC0415
    from tests.concurrency.race import Race  # noqa: PLC0415
    from tests.concurrency.store import make_world  # noqa: PLC0415

    found, began = Found(seed), time.monotonic()
    with crew(*dsns, gateways=gateways, admit=admit) as hands:
        for first in range(races.start, races.stop, RACES):
            home = make_world(limits=[])
            for number in range(first, min(first + RACES, races.stop)):
                Race(hands, home, f"{seed}.{number}", found).run()
            with tenant(home.organization_id):
                found.blame(f"races from {first}: {breach}" for breach in books.verify())
    found.seconds = time.monotonic() - began
    return found


def alone(options: argparse.Namespace) -> Found:
    """Race on servers of one's own, in this process."""
    from tests import servers  # noqa: PLC0415 -- the environment comes first

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    own = servers.start(durable=False)
    try:
        os.environ.update(own.environment())
        django.setup()
        if options.http:
            from tests.concurrency import http_races  # noqa: PLC0415

            owner, many = os.environ["OWNER_DATABASE_URL"], options.processes
            return http_races.run(owner, seed=options.seed, races=options.http, gateways=many)
        dsns = (os.environ["GATEWAY_DATABASE_URL"], os.environ["OWNER_DATABASE_URL"])
        races = range(options.first, options.first + options.races)
        return run(dsns, seed=options.seed, races=races, gateways=options.gateways)
    finally:
        servers.stop(own)


def in_chunks(options: argparse.Namespace) -> Found:
    """Race chunk after chunk, each in a process with servers of its own."""
    found = Found(options.seed)
    for first in range(options.first, options.first + options.races, CHUNK):
        races = min(CHUNK, options.first + options.races - first)
        chosen = {
            "races": races,
            "first": first,
            "seed": options.seed,
            "gateways": options.gateways,
        }
        more = [text for name, value in chosen.items() for text in (f"--{name}", str(value))]
        done = subprocess.run(  # noqa: S603 -- our own command
            [sys.executable, "-m", "tests.concurrency.races", *more],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        found.merge(json.loads(done.stdout.splitlines()[-1]))
        sys.stderr.write(f"{json.dumps(found.as_dict())}\n")
    return found


def main(arguments: list[str]) -> int:
    """Race and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.concurrency.races", description=__doc__)
    parser.add_argument("--races", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first race")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gateways", type=int, default=8, help="connections that ask at once")
    parser.add_argument("--http", type=int, default=0, help="races through gateway processes")
    parser.add_argument("--processes", type=int, default=2, help="gateway processes of those")
    options = parser.parse_args(arguments)
    is_short = options.http or options.races <= CHUNK
    found = alone(options) if is_short else in_chunks(options)
    sys.stdout.write(json.dumps(found.as_dict()) + "\n")
    return 1 if found.breach_count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
