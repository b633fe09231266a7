"""The local journal: what this process was about to do, and did, where a kill -9 cannot undo it.

One append-only file per process of frames `length, CRC32, JSON` (RELIABILITY §9); ids and numbers
only. Plain writes survive the process; `sync` makes them survive the machine.
"""

import asyncio
import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

logger = logging.getLogger(__name__)

HEAD = struct.Struct(">II")
LARGEST = 1 << 20
COMPACT = 16 << 20  # bytes of the file after which resolved calls are left out
BOOT = Path("/proc/sys/kernel/random/boot_id")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class JournalFullError(OSError):
    """The journal cannot be written: no new call may begin."""

    code = "ledger_unavailable"


def boot_id() -> str:
    """Return the id of this start of the machine; plain writes survive only within it."""
    return BOOT.read_text().strip() if BOOT.exists() else ""


class Journal:
    """The file of this process, locked while the process lives."""

    def __init__(self, folder: Path, name: str) -> None:
        """Create the file and take its lock."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / f"{name}.journal"
        self._file = _locked(self.path, os.O_CREAT | os.O_EXCL)
        self._calls: dict[str, list[bytes]] = {}  # frames of the calls that are not resolved
        self._syncing: asyncio.Task[None] | None = None
        self.is_full = False
        self._size = 0
        self._append(_frame({"boot": boot_id()}))

    def open(self, calls: Iterable[str]) -> None:
        """Write that these calls may be admitted; raise JournalFullError when that is impossible."""
        frames = []
        for call in calls:
            frame = _frame({"open": call})
            self._calls[call] = [frame]
            frames.append(frame)
        self._append(b"".join(frames))
        if self.is_full:
            raise JournalFullError("the journal is full")

    def sent(self, call: str) -> None:
        """Write, right before the first byte to the provider, that it may bill from now on."""
        frame = _frame({"sent": call})
        self._calls.setdefault(call, []).append(frame)
        self._append(frame)

    def results(self, items: Mapping[str, Any]) -> None:
        """Write what settling these calls needs."""
        frames = []
        for call, item in items.items():
            frame = _frame({"result": call, "item": item})
            self._calls.setdefault(call, []).append(frame)
            frames.append(frame)
        self._append(b"".join(frames))

    def resolved(self, calls: Iterable[str]) -> None:
        """Write that the ledger knows all about these calls."""
        known = [call for call in calls if self._calls.pop(call, None)]
        self._append(b"".join([_frame({"resolved": call}) for call in known]))
        if self._size > COMPACT:
            self._compact()

    async def sync(self) -> None:
        """Force everything written so far to the disk; those who wait together share one fsync."""
        while self._syncing is not None:
            await asyncio.shield(self._syncing)
        self._syncing = asyncio.create_task(asyncio.to_thread(os.fsync, self._file))
        try:
            await asyncio.shield(self._syncing)
        finally:
            self._syncing = None

    def probe(self) -> None:
        """Try to write again after the disk was full."""
        if self.is_full:
            self._append(_frame({"boot": boot_id()}))

    def close(self) -> None:
        """Delete the file when every call is resolved, else leave it for the next process."""
        if not self._calls:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, frames: bytes) -> None:
        """Write; a full disk stops admissions and nothing else, the ledger is told all the same."""
        if not frames:
            return
        try:
            self._size += _write(self._file, frames)
            self.is_full = False
        except OSError as error:
            if not self.is_full:
                logger.critical("journal.full", extra={"errno": error.errno})
            self.is_full = True
            os.ftruncate(self._file, self._size)  # no torn frame in the middle

    def _compact(self) -> None:
        """Write the open calls into a new file that takes the place of this one."""
        fresh = self.path.with_suffix(".new")
        try:
            file = _locked(fresh, os.O_CREAT | os.O_TRUNC)
            frames = [_frame({"boot": boot_id()}), *(f for c in self._calls.values() for f in c)]
            size = _write(file, b"".join(frames))
            os.fsync(file)
            fresh.replace(self.path)
        except OSError:
            logger.exception("journal.compact_failed")
            return
        os.close(self._file)
        self._file, self._size = file, size


class Found:
    """The file of a dead process, locked by whoever replays it."""

    def __init__(self, path: Path, file: int) -> None:
        """Take over the open, locked file."""
        self.path, self._file = path, file

    def items(self) -> list[dict[str, Any]]:
        """Return what the ledger must be told so that no call of that process stays open.

        `result` → as it was; no `sent`, on the same start of the machine → released;
        anything else → uncertain, for the provider may have billed it.
        """
        boot, calls = "", dict[str, dict[str, Any]]()
        for content in read(self.path.read_bytes()):
            boot = content.get("boot", boot)
            for kind in ("open", "sent", "result"):
                if call := content.get(kind):
                    calls.setdefault(call, {})[kind] = content.get("item", True)
            calls.pop(content.get("resolved", ""), None)
        is_same_boot = bool(boot) and boot == boot_id()
        return [_item(call, facts, is_same_boot) for call, facts in calls.items()]

    def delete(self) -> None:
        """Remove the file: the ledger knows everything."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def leave(self) -> None:
        """Let go of the file, for another try."""
        os.close(self._file)


def dead(folder: Path) -> Iterator[Found]:
    """Take the lock of each file whose process is gone."""
    for path in sorted(folder.glob("*.journal")) if folder.exists() else ():
        try:
            file = _locked(path, 0)
        except OSError:
            continue  # its process lives, or another one replays it
        if path.exists():
            yield Found(path, file)
        else:
            os.close(file)


def read(data: bytes) -> Iterator[dict[str, Any]]:
    """Return the frames up to the first torn or damaged one."""
    at = 0
    while at + HEAD.size <= len(data):
        length, check = HEAD.unpack_from(data, at)
        body = data[at + HEAD.size : at + HEAD.size + length]
        if length > LARGEST or len(body) < length or zlib.crc32(body) != check:
            return
        yield _decode(body)
        at += HEAD.size + length


def _item(call: str, facts: dict[str, Any], is_same_boot: bool) -> dict[str, Any]:  # noqa: FBT001  private, two callers
    if "result" in facts:
        item: dict[str, Any] = facts["result"]
        return item
    if "sent" not in facts and is_same_boot:
        return {"id": call, "state": "released", "error_code": "gateway_died"}
    return {"id": call, "state": "uncertain", "error_code": "gateway_died"}


def _frame(content: dict[str, Any]) -> bytes:
    body = _encode(content)
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def _write(file: int, data: bytes) -> int:
    """Write all of `data`, whatever the system takes at a time."""
    done = 0
    while done < len(data):
        done += os.write(file, data[done:])
    return done


def _locked(path: Path, flags: int) -> int:
    """Open a file for appending and take its lock, or raise OSError."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
