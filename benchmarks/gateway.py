"""Measure the gateway beside nginx and, where they are installed, its rivals, in one interleaved run.

`./run bench` starts PostgreSQL and Valkey on the second core and a gateway with three hot nested hard
budgets and the durable ledger on the first, writes a target for the harness at TOLLKEEPER_BENCH (default
../shared/bench; its README explains phases and columns) and passes all further arguments on to it.
PEERS_DIR names a folder with LiteLLM and Portkey, to measure them in the same run.
Afterwards the books are verified: a fast answer that was not booked would be no answer.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
HARNESS = Path(os.environ.get("TOLLKEEPER_BENCH", ROOT.parent / "shared" / "bench"))
MOCK = "http://127.0.0.1:19001"
PORT = "19010"


def main(arguments: list[str]) -> int:
    """Run the harness; return its exit code, or 1 when the books do not balance."""
    if not (HARNESS / "gateway_bench.py").exists():
        print(f"skipped: no harness at {HARNESS}; name one with TOLLKEEPER_BENCH", file=sys.stderr)
        return 0
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # the servers inherit it: the gateway's core is its own
    from tests import servers  # noqa: PLC0415 -- after the environment is set

    with servers.own_servers() as own, tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, cores)
        os.environ.update(own.environment())
        django.setup()
        from tests.concurrency import processes  # noqa: PLC0415 -- needs Django

        world = processes.make_key_world(
            MOCK, limits=dict.fromkeys(("organization", "cost_center", "api_key"), "100000")
        )
        target = write_target(Path(folder), own.environment(), world.token, own.postgres.pid)
        peers = ["-t", str(HARNESS / "peers" / "targets.json")] if "PEERS_DIR" in os.environ else []
        command = [
            sys.executable,
            str(HARNESS / "gateway_bench.py"),
            "-t",
            str(target),
            *peers,
            *arguments,
        ]
        outside = {
            name: value for name, value in os.environ.items() if name not in own.environment()
        }
        code = subprocess.run(command, env=outside, check=False).returncode  # noqa: S603 -- the harness
        return code or verify(world.organization_id)


def write_target(
    folder: Path, environment: dict[str, str], token: str, postgres: int | None
) -> Path:
    """Tell the harness how to start the gateway."""
    pidfile = folder / "postgres.pid"
    pidfile.write_text(str(postgres))
    target = {
        "name": "tollkeeper",
        "command": [sys.executable, "-m", "config.server"],
        "cwd": str(ROOT),
        "env": {
            **environment,
            "PORT": PORT,
            "TOLLKEEPER_ROLE": "gateway",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TOLLKEEPER_EGRESS_ALLOW": MOCK.removeprefix("http://"),
            "TOLLKEEPER_JOURNAL_DIR": str(folder),
        },
        "url": f"http://127.0.0.1:{PORT}/v1/chat/completions",
        "headers": {"Authorization": f"Bearer {token}"},
        "model": "gpt-4o-mini",
        "conns": 128,  # enough to keep its core busy while batches are committed
        "aux_pidfiles": [str(pidfile)],
    }
    path = folder / "targets.json"
    path.write_text(json.dumps({"targets": [target]}))
    return path


def verify(organization_id: object) -> int:
    """Verify the books of the run and say how many calls they hold."""
    from attribution.isolation.transaction import tenant  # noqa: PLC0415 -- needs Django
    from budgets.reservations import books  # noqa: PLC0415
    from tests.concurrency.processes import rows  # noqa: PLC0415

    with tenant(organization_id):  # type: ignore[arg-type]  # a UUID
        breaches = books.verify()
        counted = rows("SELECT state, count(*) FROM v1_calls GROUP BY 1")
    print(f"books: {dict(counted)}, breaches: {[str(breach) for breach in breaches]}")
    return 1 if breaches else 0
