"""The data folder of one local instance: its lock, its secrets, its sockets and what it tells scripts."""

import base64
import fcntl
import hashlib
import json
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

SEED = "seed.json"  # what the demo's seeding told, kept because a key is shown only once
SOCKET_PATH_LIMIT = 80  # sun_path holds 108 bytes, and ".s.PGSQL.5432" has to fit too


class DataFolderError(Exception):
    """The data folder cannot be used; the text says why and what to do."""


class DataFolder:
    """One folder, one instance: nothing else may run on it meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock: IO[bytes] | None = None

    def lock(self) -> bool:
        """Take the folder for this process; False when another instance has it."""
        held = (self.path / "lock").open("ab")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return False
        self._lock = held
        return True

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    @property
    def sockets(self) -> Path:
        """Say where the servers' sockets lie: in the folder, or nearby when its path is too long for a socket."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tollkeeper-{os.getuid()}-{digest}"

    def make_sockets(self) -> Path:
        """Make the sockets' folder, closed to everyone else; refuse one that somebody else prepared."""
        folder = self.sockets
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (os.getuid() and found.st_uid != os.getuid()):
            raise DataFolderError(f"{folder} belongs to somebody else; remove it and start again.")
        folder.chmod(0o700)
        return folder

    def write_private(self, name: str, text: str) -> Path:
        """Write a file that only its owner reads, whole or not at all."""
        target = self.path / name
        draft = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(target)
        return target

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Read a JSON object that `write_private` left, None when there is none."""
        file = self.path / name
        if not file.exists():
            return None
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def secrets(self) -> dict[str, str]:
        """Read the instance's secrets; make them the first time."""
        file = self.path / "secrets.env"
        if not file.exists():
            fresh = [f"{name}={value}\n" for name, value in _fresh_secrets().items()]
            self.write_private("secrets.env", "".join(fresh))
        lines = file.read_text(encoding="utf-8").splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _fresh_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TOLLKEEPER_KEY_PEPPER": f"1:{_random_base64()}",
        "TOLLKEEPER_WRAP_KEY": _random_base64(),
        "TOLLKEEPER_FINGERPRINT_SECRET": _random_base64(),
    }


def _random_base64() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")
