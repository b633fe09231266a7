"""Child processes of the supervisor: started so that they die with it, restarted when they die alone."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
STEADY_S = 30.0  # a child that lived this long starts again at once
LONGEST_PAUSE_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """Whom a server runs as: PostgreSQL refuses to be root."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None


PLAIN = Identity()


@dataclass
class Child:
    """One supervised process. Without a log it writes to the terminal."""

    name: str
    argv: list[str]
    env: dict[str, str]
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when the supervisor is killed. A server of data ends in its own order; the others
    # would only wait for those, and lose nothing by dying.
    death_signal: signal.Signals = signal.SIGKILL
    pass_fds: tuple[int, ...] = ()
    identity: Identity = PLAIN
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started_at: float = 0.0
    _failures: int = 0

    @property
    def pid(self) -> int | None:
        """Say which process it is now, None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process; it must not run already."""
        self._started_at = time.monotonic()
        self._process = spawn(self)

    def heal(self) -> bool:
        """Start it again if it died and its pause is over; True when that was done."""
        if self._process is None or self._process.poll() is None:
            return False
        if time.monotonic() - self._started_at < self._pause():
            return False
        self._failures = 0 if self._lived_steadily() else self._failures + 1
        self.restarts += 1
        self.start()
        return True

    def result(self) -> int:
        """Wait for a command's end and return its exit code."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.wait()

    def signal_stop(self) -> None:
        """Ask it to end."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait(self, *, until: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Wait for its end up to the monotonic time `until`, then kill it; `hurry` cuts the wait short."""
        if self._process is None:
            return
        while self._process.poll() is None and time.monotonic() < until and not hurry():
            time.sleep(0.02)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process = None

    def _lived_steadily(self) -> bool:
        return time.monotonic() - self._started_at >= STEADY_S

    def _pause(self) -> float:
        if not self._failures or self._lived_steadily():
            return 0.0
        return min(LONGEST_PAUSE_S, 0.5 * 2.0 ** (self._failures - 1))


def spawn(child: Child) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches only the supervisor."""
    output = child.log.open("ab") if child.log else None
    try:
        return subprocess.Popen(  # noqa: S603 -- our own commands
            [*child.identity.prefix, *child.argv],
            env=child.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=child.pass_fds,
            start_new_session=True,
            user=child.identity.uid,
            group=child.identity.gid,
            extra_groups=None if child.identity.uid is None else [],
            preexec_fn=_die_with_parent(child.death_signal),  # noqa: PLW1509 -- there is one thread
        )
    finally:
        if output:
            output.close()


def execute(command: list[str], *, identity: Identity = PLAIN) -> subprocess.CompletedProcess[str]:
    """Run a short command as somebody and return what it said."""
    return subprocess.run(  # noqa: S603 -- our own commands
        [*identity.prefix, *command],
        capture_output=True,
        text=True,
        check=False,
        user=identity.uid,
        group=identity.gid,
        extra_groups=None if identity.uid is None else [],
    )


def run_attached(command: list[str], env: dict[str, str]) -> int:
    """Run a person's command at this terminal and return its exit code."""
    return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 -- theirs


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the arrangement held
            os._exit(1)

    return arrange


def unprivileged() -> Identity:
    """Find out how a server that refuses to be root may run here."""
    if os.geteuid() != 0:
        return Identity()
    nobody = pwd.getpwnam("nobody")
    mapped = ("--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    unshare = shutil.which("unshare")
    if unshare and not os.environ.get("TOLLKEEPER_NO_USER_NAMESPACE"):
        prefix = (unshare, *mapped)
        if execute(["true"], identity=Identity(prefix=prefix)).returncode == 0:
            return Identity(prefix=prefix)
    return Identity(uid=nobody.pw_uid, gid=nobody.pw_gid)
