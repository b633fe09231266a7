"""Early pytest plugin: embedded PostgreSQL and Valkey once per run, in a temporary folder, migrated as the owner."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.data_folder import DataFolder
from config.embedded import EmbeddedServers

ROOT = Path(__file__).resolve().parent.parent
_started: list[EmbeddedServers] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the servers before pytest-django reads the settings; DATABASE_URL names others."""
    options = early_config.known_args_namespace
    if not (options.help or options.version or options.collectonly or "DATABASE_URL" in os.environ):
        servers = start(durable=False)
        _started.append(servers)
        os.environ.update(servers.environment())
    os.environ["TOLLKEEPER_JOURNAL_DIR"] = tempfile.mkdtemp(prefix="tollkeeper-journal-")
    yield


def pytest_unconfigure() -> None:
    """Stop the servers and delete their folder."""
    while _started:
        stop(_started.pop())
    shutil.rmtree(os.environ["TOLLKEEPER_JOURNAL_DIR"], ignore_errors=True)


def start(*, durable: bool) -> EmbeddedServers:
    """Start servers of one's own with an empty, migrated database."""
    path = Path(tempfile.mkdtemp(prefix="tollkeeper-tests-"))
    path.chmod(0o711)  # root's PostgreSQL may have to run as nobody
    folder = DataFolder(path)
    folder.lock()
    servers = EmbeddedServers(folder, durable=durable)
    try:
        servers.start()
        migrate(servers.environment())
    except BaseException:
        stop(servers)
        raise
    return servers


def stop(servers: EmbeddedServers) -> None:
    """Stop such servers and delete their data."""
    servers.stop()
    servers.folder.unlock()
    shutil.rmtree(servers.folder.path, ignore_errors=True)


@contextmanager
def own_servers() -> Iterator[EmbeddedServers]:
    """Give crash-safe servers of one's own, for tests that kill them."""
    servers = start(durable=True)
    try:
        yield servers
    finally:
        stop(servers)


@contextmanager
def own_valkey() -> Iterator[EmbeddedServers]:
    """Give a Valkey that a test may stop."""
    path = Path(tempfile.mkdtemp(prefix="tollkeeper-tests-"))
    path.chmod(0o711)
    folder = DataFolder(path)
    folder.lock()
    servers = EmbeddedServers(folder, wanted=frozenset({"valkey"}), durable=False)
    try:
        servers.start()
        yield servers
    finally:
        stop(servers)


def migrate(environment: dict[str, str]) -> None:
    """Migrate as the owner, in a process of its own: no connection of the tests may be the owner's."""
    env = {**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "config.prepare"]
    done = subprocess.run(  # noqa: S603 -- our own command
        command, env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise pytest.UsageError(f"The test database cannot be migrated:\n{done.stderr[-4000:]}")
