"""A whole instance: it heals what dies, ends in order, and leaves nothing behind when it is killed itself."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.data_folder import DataFolder
from config.supervisor import Supervisor
from tests.servers import ROOT

pytestmark = pytest.mark.concurrency
START_S = 120.0
OF_THE_TESTS = re.compile(r".*DATABASE_URL|REDIS_URL|TOLLKEEPER_.*|DJANGO_.*|SECRET_KEY")


class Instance:
    """`./run up` on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        env = {k: v for k, v in os.environ.items() if not OF_THE_TESTS.fullmatch(k)}
        env |= {"PORT": str(self.port), "TOLLKEEPER_VAR": str(folder), "TOLLKEEPER_PROCESSES": "2"}
        (folder / "demo.json").unlink(missing_ok=True)
        with (folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.supervisor", "up"],
                env=env,
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        told = eventually((folder / "demo.json").exists, seconds=START_S)
        assert told, (folder / "output").read_text()
        assert eventually(lambda: self.child("OneBeat") is not None)  # the last to be started

    def children(self) -> dict[int, str]:
        """List the processes right below the supervisor."""
        return {
            pid: text for pid, (parent, text) in processes().items() if parent == self.process.pid
        }

    def child(self, what: str) -> int | None:
        """Find one of them by its command line."""
        return next((pid for pid, text in self.children().items() if what in text), None)

    def answers(self) -> bool:
        """Say whether the port is served."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def leftovers(self) -> list[str]:
        """List processes that still work on the data folder."""
        return [text for _, text in processes().values() if str(self.folder) in text]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instance")


@pytest.fixture
def instance(folder: Path) -> Iterator[Instance]:
    started = Instance(folder)
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait(90)


def test_an_instance_heals_whatever_is_killed(instance: Instance) -> None:
    for what in (
        "config.server",
        "celery --quiet -A config.celery worker",
        "OneBeat",
        "postgres",
        "valkey",
    ):
        killed = instance.child(what)
        assert killed, what

        os.kill(killed, signal.SIGKILL)

        assert eventually(lambda: instance.child(what) not in {None, killed}), what  # noqa: B023
    assert eventually(instance.answers, seconds=30)


def test_the_port_outlives_a_server_process(instance: Instance) -> None:
    killed = instance.child("config.server")
    assert killed

    os.kill(killed, signal.SIGKILL)

    assert all(instance.answers() for _ in range(20))


def test_a_signal_that_a_fork_swallowed_still_stops(tmp_path: Path) -> None:
    supervisor = Supervisor(DataFolder(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        supervisor.interrupt(signal.SIGTERM, None)  # lost, as within a hook of os.fork

    with pytest.raises(KeyboardInterrupt):
        supervisor._watch()


def test_sigterm_stops_everything_in_order(instance: Instance) -> None:
    instance.process.send_signal(signal.SIGTERM)

    assert instance.process.wait(90) == 0
    assert not instance.leftovers()
    assert "database system is shut down" in (instance.folder / "postgres.log").read_text()[-500:]


def test_a_killed_supervisor_leaves_nothing_running(instance: Instance) -> None:
    below = set(instance.children())
    assert len(below) >= 6

    instance.process.kill()
    instance.process.wait()

    assert eventually(lambda: not below & processes().keys() and not instance.leftovers())


def test_a_second_instance_is_refused_the_folder(instance: Instance) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "config.supervisor", "up"],
        env={**os.environ, "TOLLKEEPER_VAR": str(instance.folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert "in use by another running instance" in refused.stderr


def test_scripts_are_told_where_everything_is(instance: Instance) -> None:
    file = instance.folder / "demo.json"
    told: dict[str, Any] = json.loads(file.read_text())

    assert file.stat().st_mode & 0o777 == 0o600
    assert told["url"] == told["gateway_url"] == f"http://127.0.0.1:{instance.port}"
    assert {"database_url", "redis_url", "api_key", "organization", "organization_id"} <= set(told)
    assert len({login["organization"] for login in told["logins"]}) == 2


def processes() -> dict[int, tuple[int, str]]:
    """Read parent and command line of every running process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if state != "Z":
            found[int(folder.name)] = (int(parent), text)
    return found


def eventually(holds: Callable[[], bool], *, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.05)
    return held
