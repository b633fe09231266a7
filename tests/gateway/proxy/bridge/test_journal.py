"""The journal survives its process: what it tells, torn tails, a full disk, a real kill -9."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.proxy.bridge import journal
from gateway.proxy.bridge.journal import Journal, JournalFullError, dead, read

ROOT = Path(__file__).resolve().parents[4]
WRITER = """
import os, sys, signal
from pathlib import Path
from gateway.proxy.bridge.journal import Journal
j = Journal(Path(sys.argv[1]), "dying")
j.open(["opened", "sent", "known", "done"])
j.sent("sent"); j.sent("known"); j.sent("done")
j.results({"known": {"id": "known", "state": "settled", "cost": "0.1"}})
j.results({"done": {"id": "done", "state": "settled", "cost": "0.2"}})
j.resolved(["done"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_the_ledger_must_be_told(tmp_path: Path) -> None:
    died = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, check=False
    )

    [found] = dead(tmp_path)
    items = {item["id"]: item for item in found.items()}

    assert died.returncode == -signal.SIGKILL
    assert items == {
        "opened": {"id": "opened", "state": "released", "error_code": "gateway_died"},
        "sent": {"id": "sent", "state": "uncertain", "error_code": "gateway_died"},
        "known": {"id": "known", "state": "settled", "cost": "0.1"},
    }
    found.delete()
    assert list(tmp_path.iterdir()) == []


def test_after_a_crash_of_the_machine_nothing_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Journal(tmp_path, "one")
    written.open(["opened"])
    os.close(written._file)
    monkeypatch.setattr(journal, "boot_id", lambda: "another start")

    [found] = dead(tmp_path)

    assert [item["state"] for item in found.items()] == ["uncertain"]
    found.leave()


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living = Journal(tmp_path, "one")

    assert list(dead(tmp_path)) == []
    living.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_open_calls_outlives_an_orderly_end(tmp_path: Path) -> None:
    written = Journal(tmp_path, "one")
    written.open(["a"])
    written.close()

    assert [path.name for path in tmp_path.iterdir()] == ["one.journal"]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_tail_ends_at_the_last_whole_frame(tmp_path: Path, cut: int) -> None:
    written = Journal(tmp_path, "one")
    written.open(["a"])
    whole = written.path.read_bytes()
    written.open(["b"])
    data = written.path.read_bytes()
    torn = data[: max(len(whole), len(data) - cut)]

    assert [frame.get("open") for frame in read(torn)] == [None, "a"]
    written.close()


def test_a_damaged_frame_ends_the_file(tmp_path: Path) -> None:
    written = Journal(tmp_path, "one")
    written.open(["a", "b"])
    data = bytearray(written.path.read_bytes())
    data[-2] ^= 1

    assert [frame.get("open") for frame in read(bytes(data))] == [None, "a"]
    written.close()


def test_a_full_disk_stops_new_calls_until_there_is_room_again(tmp_path: Path) -> None:
    written = Journal(tmp_path, "one")
    written.open(["a"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written.path.stat().st_size + 5, hard))
    try:
        with pytest.raises(JournalFullError):
            written.open(["b"])
        written.results({"a": {"id": "a"}})
        was_full = written.is_full
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    written.probe()

    assert (was_full, written.is_full) == (True, False)
    assert [frame.get("open") for frame in read(written.path.read_bytes())] == [None, "a", None]
    written.close()


def test_a_large_file_is_written_anew_with_the_open_calls_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "COMPACT", 10_000)
    written = Journal(tmp_path, "one")
    written.open(["stays"])
    for number in range(500):
        written.open([str(number)])
        written.resolved([str(number)])

    assert written.path.stat().st_size < 10_000
    assert next(iter(read(written.path.read_bytes())))["boot"] == journal.boot_id()
    opened = [frame.get("open") for frame in read(written.path.read_bytes())]
    assert "stays" in opened
    assert list(dead(tmp_path)) == []  # the new file is locked too
    written.close()


async def test_those_who_wait_for_the_disk_share_it(tmp_path: Path) -> None:
    written = Journal(tmp_path, "one")
    written.open(["a"])

    await written.sync()
    written.resolved(["a"])
    written.close()
