"""What the live stream says: one event per settled call, who may read it, and on which channel."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec

LISTENED = "tollkeeper:live:listened"  # where readers tell gateways whose events somebody reads
REPEAT = 2.0  # seconds between two such words
HEARD = 6.0  # seconds that one holds
MOST_NAMES = 100  # of cost centers or of models in a filter

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_NAMES)]


class Event(msgspec.Struct, kw_only=True):
    """One settled call, as programs and pages are told of it; amounts are decimal strings."""

    event: str = "cost"
    timestamp: str  # when its answer ended, UTC
    request_id: str
    cost_center: str | None
    user: str | None
    path: str | None
    feature: str | None
    model: str
    model_billed: str | None
    provider: str | None
    tokens: dict[str, int]
    cost_usd: str | None  # None: no price is known
    is_estimated: bool
    latency_ms: int | None
    anomaly: bool = False

    @property
    def cost(self) -> Decimal | None:
        """Return the exact cost."""
        return None if self.cost_usd is None else Decimal(self.cost_usd)


class Batch(msgspec.Struct, omit_defaults=True):
    """What travels over Valkey: events of one organization, and how many had to be left out."""

    events: list[Event]
    missed: int = 0


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events a reader asked for; empty means all."""

    cost_centers: Names | None = None
    models: Names | None = None
    min_cost_usd: Decimal | None = None

    def __post_init__(self) -> None:
        if self.min_cost_usd is not None and not _is_amount(self.min_cost_usd):
            raise ValueError(
                "Expected an amount in US dollars, not below 0, of 12 decimals at most"
            )

    def admits(self, event: Event) -> bool:
        """Say whether the reader asked for this."""
        if self.cost_centers and event.cost_center not in self.cost_centers:
            return False
        if self.models and not {event.model, event.model_billed} & set(self.models):
            return False
        if self.min_cost_usd is None:
            return True
        return event.cost is not None and event.cost >= self.min_cost_usd


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reader's first message. With `greet` it is told when the stream is open."""

    api_key: str | None = None
    filters: Filters | None = None
    greet: bool = False

    def __repr__(self) -> str:
        return f"Hello({self.filters})"  # never the key


class AskedError(ValueError):
    """A reader asked for something that cannot be read; `param` names it."""

    code = "invalid_request"

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param


def channel(organization_id: str) -> str:
    """Return the channel of an organization; the hash tag keeps its keys together in a cluster."""
    return f"tollkeeper:live:{{{organization_id}}}"


def organization(name: bytes) -> str:
    """Return whose channel this is."""
    return name.decode().partition("{")[2].rstrip("}")


def hello(message: Any) -> Hello:
    """Read a first message that was parsed already."""
    return _checked(message, Hello)


def filters(pairs: Iterable[tuple[str, str]], *, is_split: bool = True) -> Filters:
    """Read the filters of a query string: names may repeat, or stand with commas between them."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in {"cost_centers", "models"}:
            parts = value.split(",") if is_split else [value]
            found.setdefault(name, []).extend(part for part in parts if part)
        elif name == "min_cost_usd":
            found[name] = value
        else:
            raise AskedError(f"There is no parameter {name[:64]!r} here.", name[:64])
    return _checked(found, Filters)


def encode(events: Sequence[Event], missed: int) -> bytes:
    """Write a batch for the channel."""
    return msgspec.json.encode(Batch(list(events), missed))


def decode(raw: bytes) -> Batch:
    """Read a batch from the channel."""
    return msgspec.json.decode(raw, type=Batch)


def _is_amount(number: Decimal) -> bool:
    if not number.is_finite() or not 0 <= number < 10**12:
        return False
    return number == round(number, 12)


def _checked(message: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise AskedError(f"{text}.", where.strip("`.")) from error
