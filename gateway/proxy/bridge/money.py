"""Reserve and settle: the two questions about money that the hot path asks PostgreSQL."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.proxy.bridge.batch import Answer, BadItemError, Batcher, Hooks, Item
from gateway.proxy.bridge.journal import Journal
from gateway.proxy.bridge.pool import LedgerUnavailableError

logger = logging.getLogger(__name__)

ADMIT = "SELECT call_id::text, outcome, detail FROM budgets_admit(%s::jsonb)"
EXTEND = "SELECT call_id::text, outcome, detail FROM budgets_extend(%s::jsonb)"
SETTLE = "SELECT call_id::text, outcome, detail FROM budgets_settle(%s::jsonb)"
PATIENCE = 1.5  # seconds that a call waits for its admission
COMMIT = 1.0  # seconds that an answer waits for its commit before the journal vouches for it
ROOM = 4096
AGAIN = 0.2  # seconds before a settle that met locked rows is asked again


class Reservation(msgspec.Struct, omit_defaults=True):
    """One call to admit: the columns of `attribution_open` and what `budgets_admit` decides by."""

    id: str
    organization_id: str
    api_key_id: str
    epoch: int
    amount: str
    periods: Sequence[int]
    deadline_s: int
    idem: str | None = None
    body_fp: str | None = None
    wait: bool = False
    api_key_name: str = ""
    department_id: str | None = None
    cost_center_id: str | None = None
    is_attribution_flagged: bool = False
    user_id: str | None = None
    path: str | None = None
    feature: str | None = None
    session_id: str | None = None
    feature_flag: str | None = None
    environment: str | None = None
    tags: Mapping[str, str] | None = None
    ip: str | None = None
    user_agent: str = ""
    prompt_fp: str | None = None
    prompt_name: str | None = None
    route: str = ""
    provider: str = ""
    upstream_id: str | None = None
    model_requested: str = ""
    provider_model: str = ""
    wire_format: str = ""
    is_stream: bool = False
    price_version: int | None = None


class Extension(msgspec.Struct):
    """A larger hold for a call under way; `wait`: a refusal is not the last word on it."""

    id: str
    amount: str
    wait: bool


class Settlement(msgspec.Struct, omit_defaults=True):
    """One call to settle, release or give up as uncertain: the columns of `attribution_post`."""

    id: str
    state: str
    cost: str | None = None
    cost_source: str | None = None
    is_estimated: bool = False
    lines: Sequence[Mapping[str, Any]] = ()
    usage: Mapping[str, Any] | None = None
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_cache_read_tokens: int = 0
    audio_output_tokens: int = 0
    provider: str | None = None
    upstream_id: str | None = None
    model_billed: str | None = None
    provider_model: str | None = None
    service_tier: str | None = None
    price_version: int | None = None
    attempts: int | None = None
    upstream_request_id: str | None = None
    http_status: int | None = None
    error_code: str | None = None
    first_byte_ms: int | None = None
    total_ms: int | None = None


class Money:
    """Batchers over one journal. What was asked is always answered, or given back.

    The one for larger holds connects with the first elastic call: another order of locks than the
    admissions have would deadlock in one transaction with them.
    """

    def __init__(self, dsn: str, journal: Journal, worker: str) -> None:
        """Prepare; `start` begins to work."""
        self.journal = journal
        admits = Hooks(
            wrap=lambda items: {"worker": worker, "calls": items},
            on_batch=self._announce,
            on_done=_nothing,
            give_back=self.give_back,
        )
        settles = Hooks(wrap=list, on_batch=self._record, on_done=self._resolve, give_back=_nothing)
        extends = Hooks(wrap=list, on_batch=_nothing, on_done=_nothing, give_back=_nothing)
        self._extends = Batcher(dsn, EXTEND, extends)
        self._admits = Batcher(dsn, ADMIT, admits, room=ROOM)
        self._settles = Batcher(dsn, SETTLE, settles)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        self._settled = asyncio.Event()  # for those who wait for room

    def start(self) -> None:
        """Start the batchers."""
        for batcher in (self._admits, self._extends, self._settles):
            self._run(batcher)

    async def stop(self, *, within: float) -> None:
        """Wait until everything asked is answered, at most `within` seconds, then stop."""
        try:
            async with asyncio.timeout(within):
                await self._admits.idle.wait()
                await self._settles.idle.wait()
        except TimeoutError:
            logger.warning("ledger.unfinished", extra={"settles": len(self._settles)})
        self._is_stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_away(self) -> bool:
        """Tell whether PostgreSQL is known to be away."""
        return self._admits.is_down or self._settles.is_down

    @property
    def commit_ms(self) -> float | None:
        """Return how long the latest batch took."""
        return self._settles.commit_ms or self._admits.commit_ms

    async def reserve(self, call: Reservation) -> tuple[str, Mapping[str, Any]]:
        """Ask for admission; nothing may be sent before this returned `granted`.

        Raises LedgerUnavailableError when there is no answer in time; a grant that comes later is
        released.
        """
        if self.is_away or self.journal.is_full:
            raise LedgerUnavailableError("the ledger is away")
        try:
            return await self._admits.submit(call, PATIENCE)
        except TimeoutError as error:
            raise LedgerUnavailableError("the ledger did not answer in time") from error
        except BadItemError as error:
            self.journal.resolved([call.id])
            raise LedgerUnavailableError("the ledger refused the call") from error

    async def settle(self, settlement: Settlement) -> Mapping[str, Any]:
        """Settle a call and return once the client may have its last bytes.

        That is after the commit or, when PostgreSQL is away, after the result is fsynced in the
        journal; the settle itself then follows by itself.
        """
        loop = asyncio.get_running_loop()
        told = self._tell(settlement)
        patience = 0.0 if self._settles.is_down else COMMIT
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(patience, _wake, waiter)
        told.add_done_callback(lambda _: _wake(waiter))
        await waiter
        timer.cancel()
        if told.done() and not told.exception():
            return told.result()[1]
        await self.journal.sync()
        return {}

    def extend(self, extension: Extension) -> "asyncio.Future[Answer]":
        """Ask for a larger hold; asked too late, it changes nothing."""
        told = self._extends.put(extension)
        told.add_done_callback(_heed)
        return told

    async def room(self, seconds: float) -> None:
        """Wait until a call settled and may have made room, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            return

    def give_back(self, item: Item) -> None:
        """Release the hold of a call that nobody waits for; without a hold this does nothing."""
        self._tell(Settlement(item.id, "released", error_code="ledger_unavailable"))

    def give_up(self, call: str, *, is_sent: bool) -> None:
        """Settle a call whose pump broke: uncertain once it was sent, else released."""
        state = "uncertain" if is_sent else "released"
        self._tell(Settlement(call, state, error_code="gateway_failed"))

    def forget(self, call: str) -> None:
        """Note that a call was refused: it has no hold."""
        self.journal.resolved([call])

    def _tell(self, settlement: Settlement) -> "asyncio.Future[Answer]":
        """Queue a settlement; one that met locked rows is queued again until the ledger knows."""
        told = self._settles.put(settlement)
        told.add_done_callback(lambda done: self._told(settlement, done))
        return told

    def _told(self, settlement: Settlement, done: "asyncio.Future[Answer]") -> None:
        if done.cancelled() or not isinstance(done.exception(), LedgerUnavailableError):
            return  # answered; or refused, which is logged, and the sweep charges its hold
        asyncio.get_running_loop().call_later(AGAIN, self._tell, settlement)

    def _announce(self, items: Sequence[Item]) -> None:
        self.journal.open([item.id for item in items])

    def _record(self, items: Sequence[Item]) -> None:
        self.journal.results({item.id: item for item in items})

    def _resolve(self, items: Sequence[Item]) -> None:
        self.journal.resolved([item.id for item in items])
        self._settled.set()
        self._settled.clear()  # whoever waited is awake; the next one waits for the next settle

    def _run(self, batcher: Batcher) -> None:
        """Run a batcher for as long as this process; a fault costs the batch that met it."""
        task = asyncio.get_running_loop().create_task(batcher.run())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, batcher))

    def _ended(self, task: "asyncio.Task[None]", batcher: Batcher) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("ledger.batcher_failed", exc_info=error)
            if not self._is_stopped:
                self._run(batcher)


def _nothing(items: Any) -> None:
    """Do nothing: an admission is resolved by its settle, a settle has nothing to give back."""


def _heed(told: "asyncio.Future[Answer]") -> None:
    """Take note of a fault that nobody waits for any more; its call is settled or cut already."""
    if not told.cancelled():
        told.exception()


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
