"""`./run`: starts, watches and stops the processes of one local instance. No product logic."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from config.children import Child, run_attached
from config.data_folder import SEED, DataFolder, DataFolderError
from config.embedded import EmbeddedServerError, EmbeddedServers, embedded_environment
from config.terminal import introduction, say, step

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 -- only compared with
READY_S = 60.0
WORKER_STOP_S = 15.0
# Held by the commands only: no process that answers requests or runs tasks may see them.
COMMAND_SETTINGS = ("OWNER_DATABASE_URL", "PLATFORM_DATABASE_URL")


class InstanceError(Exception):
    """The instance cannot be started; the text says why and what to do."""


class Supervisor:
    """One local instance: the servers it needs, the product's processes above them."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.env = {**os.environ, **_secrets(folder)}
        self.env.setdefault("TOLLKEEPER_JOURNAL_DIR", str(folder.path / "journal"))
        self.port = int(self.env.setdefault("PORT", "8000"))
        bind = self.env.get("TOLLKEEPER_BIND", LOOPBACK)
        self.host = LOOPBACK if bind == EVERYWHERE else bind
        self.drain_s = float(self.env.setdefault("TOLLKEEPER_DRAIN_S", "60"))
        self.servers: EmbeddedServers | None = None
        self.processes: list[Child] = []
        self.background: list[Child] = []
        self.listener: socket.socket | None = None
        self._hurry = self._is_asked_to_stop = False

    def start_servers(self) -> None:
        """Start the embedded servers that no setting replaces."""
        wanted = _needed_servers()
        if not wanted:
            return
        with step(f"Starting {' and '.join(sorted(wanted))}"):
            self.servers = EmbeddedServers(self.folder, wanted=wanted)
            self.servers.start()
            self.env |= self.servers.environment()

    def up(self) -> None:
        """Start everything, say where it is, then restart what dies until asked to stop."""
        self.listener = self._listen()
        self.start_servers()
        self.run([sys.executable, "-m", "config.prepare", "--seed", str(self.folder.path)])
        env = self._environment_of_processes()
        with step("Starting web and gateway"):
            self._start_servers_of_requests(env, self.listener.fileno())
            self._wait_until_ready()
        self._introduce()
        self._start_background(
            env
        )  # after them: at once, they would share the cores with the first page
        self._watch()

    def run(self, command: list[str]) -> None:
        """Run a command of this instance to its end; raise when it fails."""
        child = Child(name=command[0], argv=command, env=self.env)
        self.background.append(child)
        child.start()
        code = child.result()
        self.background.remove(child)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def stop(self) -> None:
        """Stop in order: servers of requests drain first, servers of data go last."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_second_signal)
        if self.listener:
            self.listener.close()
        for children, patience in (
            (self.processes, self.drain_s + 5.0),
            (self.background, WORKER_STOP_S),
        ):
            for child in children:
                child.signal_stop()
            until = time.monotonic() + patience
            for child in children:
                child.wait(until=until, hurry=lambda: self._hurry)
        if self.servers:
            self.servers.stop()
        self.folder.unlock()

    def _on_second_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = True

    def _listen(self) -> socket.socket:
        # Bound here and inherited, so that a server process that dies does not take the port with it.
        address = (self.env.get("TOLLKEEPER_BIND", LOOPBACK), self.port)
        try:
            return socket.create_server(address, backlog=2048)
        except OSError as error:
            text = f"Port {self.port} is taken by another program; set PORT. ({error.strerror})"
            raise InstanceError(text) from error

    def _environment_of_processes(self) -> dict[str, str]:
        withheld = {*COMMAND_SETTINGS, *(f"{name}_FILE" for name in COMMAND_SETTINGS)}
        env = {name: value for name, value in self.env.items() if name not in withheld}
        Path(env["TOLLKEEPER_JOURNAL_DIR"]).mkdir(parents=True, exist_ok=True)
        return env

    def _start_servers_of_requests(self, env: dict[str, str], descriptor: int) -> None:
        server = [sys.executable, "-m", "config.server", "--fd", str(descriptor)]
        self.processes = [
            Child(name=f"server-{number}", argv=server, env=env, pass_fds=(descriptor,))
            for number in range(1, int(env.get("TOLLKEEPER_PROCESSES", "1")) + 1)
        ]
        for child in self.processes:
            child.start()

    def _start_background(self, env: dict[str, str]) -> None:
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "config.celery"]
        worker = [*celery, "worker", "--concurrency=2", "--loglevel=WARNING"]
        worker += ["--without-gossip", "--without-mingle"]
        beat = [*celery, "beat", "--scheduler=config.celery:OneBeat", "--loglevel=WARNING"]
        self.background = [
            Child(name="worker", argv=worker, env=env),
            Child(name="beat", argv=beat, env=env),
        ]
        for child in self.background:
            child.start()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + READY_S
        while not self._answers():
            if time.monotonic() > until:
                raise InstanceError("The server does not answer; its messages stand above.")
            for child in self.processes:
                if child.pid is None:
                    raise InstanceError(f"{child.name} does not start; its messages stand above.")
            time.sleep(0.1)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Stop as soon as possible; remembered, for an exception inside a fork's hook is lost."""
        self._is_asked_to_stop = True
        raise KeyboardInterrupt

    def _watch(self) -> None:
        while not self._is_asked_to_stop:
            self._heal()
            time.sleep(0.2)
        raise KeyboardInterrupt

    def _heal(self) -> None:
        servers = self.servers.children if self.servers else []
        for child in (*servers, *self.processes, *self.background):
            if child.heal():
                say(f"{child.name} had ended and was started again.")

    def _introduce(self) -> None:
        origin = f"http://{self.host}:{self.port}"
        seed = self.folder.read_json(SEED) or {}
        outside = self.env.get("PLATFORM_DATABASE_URL", self.env.get("DATABASE_URL"))
        told = {
            "url": origin,
            "gateway_url": origin,
            "database_url": outside,
            "redis_url": self.env.get("REDIS_URL"),
            **seed,
        }
        self.folder.write_private("demo.json", json.dumps(told, indent=2) + "\n")
        say(introduction(origin, seed))


def _is_given(name: str) -> bool:
    return name in os.environ or f"{name}_FILE" in os.environ


def _needed_servers() -> set[str]:
    replaced_by = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
    return {name for name, setting in replaced_by.items() if not _is_given(setting)}


def _secrets(folder: DataFolder) -> dict[str, str]:
    return {name: value for name, value in folder.secrets().items() if not _is_given(name)}


def run_command(folder: DataFolder, command: list[str]) -> int:
    """Run a command with the servers of this folder: the running ones, or started for the duration."""
    if not folder.lock():
        env = {**os.environ, **_secrets(folder), **embedded_environment(folder, _needed_servers())}
        return run_attached(command, env)
    with supervised(folder) as supervisor:
        supervisor.start_servers()
        return run_attached(command, supervisor.env)


def bring_up(folder: DataFolder) -> int:
    """Run the whole instance until a signal ends it."""
    if not folder.lock():
        raise InstanceError(
            f"{folder.path} is in use by another running instance; TOLLKEEPER_VAR names another folder."
        )
    with supervised(folder) as supervisor:
        supervisor.up()
    return 0


@contextmanager
def supervised(folder: DataFolder) -> Iterator[Supervisor]:
    """Give a supervisor that stops everything in order when the block ends or a signal asks for it."""
    supervisor = Supervisor(folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, supervisor.interrupt
        )  # by name: a shell's background jobs ignore SIGINT
    try:
        yield supervisor
    finally:
        supervisor.stop()


def main(arguments: list[str]) -> int:
    """Run `up`, or `run COMMAND…`."""
    folder = DataFolder(Path(os.environ.get("TOLLKEEPER_VAR", "var")))
    try:
        if arguments[:1] == ["run"]:
            return run_command(folder, arguments[1:])
        return bring_up(folder)
    except KeyboardInterrupt:
        say("Stopped.")
        return 0
    except subprocess.CalledProcessError as error:
        return error.returncode if error.returncode > 0 else 1
    except (DataFolderError, EmbeddedServerError, InstanceError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
