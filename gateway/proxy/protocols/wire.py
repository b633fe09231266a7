"""The interface of every wire format: what a call asked, what its answer says, how it is metered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol

from attribution.prices.tokens import INPUT_SIDE, OUTPUT_SIDE, Tokens

Json = dict[str, Any]
Dialect = Literal["openai", "anthropic", "gemini"]


class InvalidRequestError(ValueError):
    """A request that cannot be understood; `param` names the field."""

    code = "invalid_request"

    def __init__(self, message: str, param: str | None = None) -> None:
        """Keep the message for the caller and the name of the field."""
        super().__init__(message)
        self.message = message
        self.param = param


class StreamError(ValueError):
    """A stream that breaks the limits of its format (line ≤ 1 MB, event ≤ 4 MB)."""

    code = "upstream_error"


@dataclass(slots=True)
class Asked:
    """One request, understood. `body` is the strictly parsed object; nobody changes it."""

    body: Json
    model: str
    is_stream: bool = False
    max_output: int | None = None  # the client's limit of output tokens; None: it named none
    choices: int = 1  # `n`, `best_of`
    wants_usage: bool = True  # the client itself asked for the usage of a stream
    is_free: bool = False  # the provider charges nothing for such calls (counting tokens)
    is_array: bool = False  # the stream is one JSON array, not events (Gemini)
    attribution: Json = field(default_factory=dict)  # body fields of DESIGN §3.2, as they came


@dataclass(slots=True, frozen=True)
class Size:
    """What bounds the input and the extras of a call, before any price is known."""

    text_bytes: int  # UTF-8 bytes of everything that a tokenizer will see
    messages: int
    tools: int
    extra_output: int = 0  # output that is billed beside the limit (rejected predictions)
    media: str | None = None  # first field that holds an image, audio, file or URL
    rounds: int = 1  # most times that a server-side tool lets the model read everything anew
    unbounded: str | None = None  # first field that makes the call unbounded (RELIABILITY §2)
    web_searches: int = 0  # most calls of server-side web search, each has a fee
    # token classes that this call may use; each is bounded by the dearest of its side
    input_classes: tuple[str, ...] = INPUT_SIDE
    output_classes: tuple[str, ...] = OUTPUT_SIDE


@dataclass(slots=True, frozen=True)
class Sending:
    """How one upstream wants the request: its model name, limits and quirks."""

    model: str
    max_output: int | None = None  # set in the body; None leaves the client's own untouched
    max_field: str = "max_tokens"  # name of the limit where the client used none
    injects_usage: bool = True  # the upstream understands `stream_options.include_usage`
    strip: frozenset[str] = frozenset()  # body fields this upstream does not know


class SubUse(NamedTuple):
    """Tokens that another model used inside the call, billed at its own rates."""

    model: str | None  # None: at the rates of the billed model
    usage: Tokens


@dataclass(slots=True)
class Seen:
    """What an answer says about itself. Last value wins; nothing is summed over events."""

    usage: Tokens | None = None  # None: missing or absurd, the gateway counts
    model: str | None = None  # the billed model
    service_tier: str | None = None
    cost: Decimal | None = None  # US dollars, where the provider states its charge
    upstream_cost: Decimal | None = None  # US dollars that another bills beside it (own key)
    web_searches: int = 0
    others: tuple[SubUse, ...] = ()  # tokens outside of `usage`
    partial: Tokens | None = None  # the input side as stated, though the usage is incomplete
    is_error: bool = False  # an error inside a 200 answer
    is_unpriceable: bool = False  # holds what no rate of ours covers: without `cost` it is NULL
    events: int = 0  # delta events with output
    text_bytes: int = 0  # UTF-8 bytes of visible output

    @property
    def partial_input(self) -> int | None:
        """Return the input tokens stated, though the usage is incomplete."""
        return None if self.partial is None else self.partial.input_total

    def visible_output(self) -> int:
        """Estimate output tokens from what was visible: max(delta events, ⌈bytes/2⌉)."""
        return max(self.events, -(-self.text_bytes // 2))


@dataclass(slots=True, frozen=True)
class Costs:
    """The cost members that `enrich = full` adds to a usage object."""

    cost_usd: str | None  # decimal string; None: unpriced
    cost_center: str | None
    request_id: str

    def members(self) -> dict[str, str | None]:
        """Return the members in the order in which they are shown."""
        return {
            "cost_usd": self.cost_usd,
            "cost_center": self.cost_center,
            "request_id": self.request_id,
        }


class Meter(Protocol):
    """Meters one stream. Bytes in, bytes that may go out now; the last ones stay held."""

    seen: Seen
    is_complete: bool  # the format's end mark was read

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream; return what may go out. Raise StreamError over the limits."""

    def end(self) -> None:
        """Learn that the upstream's body ended; what stands unfinished is metered and held."""

    def tail(self, costs: Costs | None) -> bytes:
        """Return what was held, to be sent after the settle; `costs` is added to the usage."""


class Format(Protocol):
    """One wire format. The modules named in `NAME` are: `openai_chat: Format`."""

    NAME: str  # what records call this format
    DIALECT: Dialect  # shape of errors

    def parse_request(self, raw: bytes, path: Mapping[str, str]) -> Asked:
        """Parse strictly; `path` holds variables of the URL (Gemini's model). InvalidRequestError."""

    def size(self, asked: Asked) -> Size:
        """Measure the request for its upper bound."""

    def system_text(self, asked: Asked) -> str:
        """Return the system prompt or template, for the fingerprint; empty without one."""

    def hides_reasoning(self, asked: Asked, model: str) -> bool:
        """Tell whether billed output may stay invisible, so that counting would undercharge."""

    def upstream_path(self, asked: Asked, sending: Sending) -> str:
        """Return the path under the upstream's base, never made of client text."""

    def outgoing(self, asked: Asked, sending: Sending) -> bytes:
        """Serialize anew what is sent; never the client's bytes."""

    def read_answer(self, raw: bytes) -> Seen:
        """Read a complete answer; never raises, an unreadable one has no usage."""

    def enrich(self, raw: bytes, costs: Costs) -> bytes:
        """Add the cost members to the answer's usage; every other byte stays."""

    def meter(self, asked: Asked) -> Meter:
        """Start metering one stream."""
