"""Whether a deliverer is alive: it holds an advisory lock for as long as its process lives."""

import contextlib
import secrets
from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connection, connections

LOCKS = 0x6D61696C  # the class of these locks: "mail"


@contextlib.contextmanager
def held() -> Iterator[int]:
    """Take a number and hold its lock on a connection of its own; give the number.

    The lock lives in a transaction that never reads a row: it keeps nothing from being vacuumed,
    holds through a transaction pooler, and ends within moments of the process, however that ends.
    """
    number = secrets.randbelow(2**31)
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCKS, number])
        yield number
    finally:
        own.close()


def living() -> set[int]:
    """Return the numbers of the deliverers that are alive now.

    Ask after reading who has a message, never before: a lock is taken before a message is claimed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = %s::oid AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCKS],
        )
        return {row[0] for row in cursor.fetchall()}
