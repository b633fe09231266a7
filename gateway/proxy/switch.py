"""What a change of policy does in a running process: caches ask anew, blocked calls are cut."""

import asyncio
import logging

from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.proxy.caller import Callers
from gateway.proxy.fleet import Pumps

logger = logging.getLogger(__name__)

AGAIN = 0.2  # seconds before an organization that could not be read is read again


class Switch:
    """Hears of changes and acts on the calls of this process."""

    def __init__(self, callers: Callers, pumps: Pumps) -> None:
        """Start with nothing to do."""
        self._callers, self._pumps = callers, pumps
        self._due: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def changed(self, organization_id: str | None) -> None:
        """Forget what may have changed; look whether calls under way are to be cut."""
        self._callers.forget(organization_id)
        running = self._pumps.organizations
        self._due |= running if organization_id is None else running & {organization_id}
        if self._due and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._due:
            organization = self._due.pop()
            try:
                catalog = await self._callers.catalog(organization)
            except (LedgerUnavailableError, QuestionError):
                self._due.add(organization)
                await asyncio.sleep(AGAIN)
                continue
            if catalog and (calls := self._pumps.cut(organization, catalog.is_cut)):
                logger.warning("calls.cut", extra={"organization": organization, "calls": calls})
