"""Supervised processes: they end as asked, start again alone, and die with their supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.children import Child

PATIENCE_S = 10.0
SUPERVISOR = """
import sys, time
from config.children import Child
child = Child(name="sleeper", argv=["sleep", "600"], env={"PATH": "/usr/bin:/bin"})
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


def sleeper() -> Child:
    return Child(name="sleeper", argv=["sleep", "600"], env={"PATH": os.environ["PATH"]})


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return held


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_dies_is_started_again() -> None:
    child = sleeper()
    child.start()
    first = child.pid
    assert first

    os.kill(first, signal.SIGKILL)

    assert eventually(child.heal)
    assert child.pid not in {None, first}
    child.signal_stop()
    child.wait(until=time.monotonic() + PATIENCE_S)


def test_a_child_that_keeps_dying_is_given_pauses() -> None:
    child = Child(name="failing", argv=["false"], env={"PATH": os.environ["PATH"]})
    child.start()
    assert eventually(child.heal)
    assert eventually(lambda: child.pid is None)

    assert not child.heal()

    assert child.restarts == 1
    child.wait(until=time.monotonic())


def test_a_child_that_will_not_end_is_killed() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = Child(name="stubborn", argv=[sys.executable, "-c", script], env=dict(os.environ))
    child.start()
    pid = child.pid
    assert pid

    child.signal_stop()
    child.wait(until=time.monotonic() + 0.5)

    assert not lives(pid)


@pytest.mark.concurrency
def test_a_killed_supervisor_leaves_nothing_running() -> None:
    with subprocess.Popen(  # noqa: S603 -- ours
        [sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        pid = int(supervisor.stdout.readline())
        assert lives(pid)

        supervisor.kill()

    assert eventually(lambda: not lives(pid))
