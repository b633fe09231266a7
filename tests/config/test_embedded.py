"""The embedded servers: roles that row policies bind, data that outlives a crash."""

import os
import signal
import time

import psycopg
import pytest
import redis

from config.embedded import EmbeddedServers


def test_the_tests_connect_as_a_role_that_row_policies_bind(owner_dsn: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == ("tollkeeper_app", False, False)


def test_the_servers_have_no_port(redis_url: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("SHOW listen_addresses").fetchone()

    assert row == ("",)
    assert redis_url.startswith("unix://")


@pytest.mark.concurrency
def test_committed_rows_outlive_a_killed_server(durable_servers: EmbeddedServers) -> None:
    owner = durable_servers.environment()["OWNER_DATABASE_URL"]
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE outlives (value int)")
        connection.execute("INSERT INTO outlives VALUES (42)")
    killed = durable_servers.postgres.pid
    assert killed

    os.kill(killed, signal.SIGKILL)
    while not durable_servers.postgres.heal():
        time.sleep(0.02)

    with connect_again(owner) as connection:
        assert connection.execute("SELECT value FROM outlives").fetchone() == (42,)
        connection.execute("DROP TABLE outlives")


@pytest.mark.concurrency
def test_valkey_returns_with_what_it_was_told(durable_servers: EmbeddedServers) -> None:
    client = redis.Redis.from_url(durable_servers.environment()["REDIS_URL"])
    client.set("told", "yes")
    durable_servers.valkey.signal_stop()
    while not durable_servers.valkey.heal():
        time.sleep(0.02)

    until = time.monotonic() + 10
    while True:
        try:
            assert client.get("told") == b"yes"
            break
        except redis.exceptions.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.02)
    client.close()


def connect_again(url: str) -> psycopg.Connection:
    until = time.monotonic() + 20
    while True:
        try:
            return psycopg.connect(url)
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
