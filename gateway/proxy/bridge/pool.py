"""Connections of the gateway's role, set up so that a commit is durable and no wait is long."""

import logging
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

logger = logging.getLogger(__name__)

SETTINGS = "-c synchronous_commit=on -c lock_timeout=500ms -c statement_timeout=2s -c timezone=UTC"
WAIT = 1.0  # seconds for a connection; whoever asked is answered within two

encode = msgspec.json.Encoder().encode


class LedgerUnavailableError(Exception):
    """PostgreSQL cannot be asked now: nothing was admitted, nothing is lost."""

    code = "ledger_unavailable"


def conninfo(dsn: str) -> str:
    """Return the connection string with the bridge's settings."""
    return make_conninfo(
        dsn,
        options=SETTINGS,
        connect_timeout=2,
        application_name="tollkeeper-gateway",
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=2,
        tcp_user_timeout=4000,
    )


async def connect(dsn: str) -> psycopg.AsyncConnection[Any]:
    """Open a connection of a batcher's own."""
    return await psycopg.AsyncConnection.connect(
        conninfo(dsn), autocommit=True, prepare_threshold=0
    )


class QuestionError(Exception):
    """PostgreSQL refused a question as such: asking again will not help."""

    code = "ledger_unavailable"


class Pool:
    """A few connections for single questions: look-ups, catalogues, heartbeat, sweep."""

    def __init__(self, dsn: str, *, size: int = 4) -> None:
        """Prepare a pool; `open` connects."""
        self._pool = AsyncConnectionPool(
            conninfo(dsn),
            min_size=1,
            max_size=size,
            open=False,
            timeout=WAIT,
            kwargs={"autocommit": True, "prepare_threshold": 0},
        )

    async def open(self) -> None:
        """Start connecting; does not wait, for the gateway starts without PostgreSQL too."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(timeout=2)

    async def ask(self, sql: str, question: Any = None) -> bytes:
        """Run one statement that takes one jsonb and answers one text; return that as bytes.

        Raises LedgerUnavailableError when PostgreSQL does not answer, QuestionError when it refuses.
        """
        parameters = [] if question is None else [encode(question).decode()]
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(sql, parameters)
                row = await cursor.fetchone()
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise LedgerUnavailableError("PostgreSQL does not answer") from error
        except psycopg.Error as error:
            logger.exception("ledger.question_refused", extra={"state": error.sqlstate})
            raise QuestionError(error.sqlstate) from error
        value = row[0] if row else None
        return b"null" if value is None else str(value).encode()
