"""What PostgreSQL tells of by itself: organizations whose policy changed, with the commit that did it."""

from collections.abc import Callable

import psycopg

from attribution.tenancy.policy import CHANNEL
from gateway.proxy.bridge import pool
from gateway.proxy.bridge.pool import LedgerUnavailableError

AGAIN = 0.5  # seconds before a lost connection is opened again


class Notices:
    """One listening connection; who listens anew takes everything for changed."""

    def __init__(self, dsn: str, tell: Callable[[str | None], None]) -> None:
        """`tell` hears an organization's id, or None where any may have changed."""
        self._dsn, self._tell = dsn, tell

    async def listen(self) -> None:
        """Listen for as long as the connection holds, then raise LedgerUnavailableError."""
        try:
            connection = await pool.connect(self._dsn)
            async with connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                self._tell(None)
                async for notice in connection.notifies():
                    self._tell(notice.payload)
        except psycopg.OperationalError as error:
            raise LedgerUnavailableError("PostgreSQL tells of no changes") from error
