"""The most that a call can use and cost, known before it is sent (RELIABILITY §2)."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from attribution import money
from attribution.prices.listings import Listing
from attribution.prices.pricing import PER_MILLION, Rates
from gateway.proxy.protocols.wire import Asked, Size

# What chat templates add to the text: fixed openings, the marks of a message, of a tool.
BASE_OVERHEAD = 64
MESSAGE_OVERHEAD = 16
TOOLS_OVERHEAD = 512  # the preamble that explains tools to the model
TOOL_OVERHEAD = 64
LEAST_OUTPUT = 16  # `X-Budget-Fit: clamp` never goes below
ZERO = Decimal(0)


@dataclass(slots=True, frozen=True)
class Limits:
    """What is known of a model and a key. None: unknown, or no limit."""

    context_window: int | None = None
    model_output: int | None = None
    key_output: int | None = None


@dataclass(slots=True, frozen=True)
class Bound:
    """The most tokens of a call; `max_output` is the limit to send for each choice."""

    input_tokens: int
    output_tokens: int
    max_output: int | None  # None: no limit is known, the context window bounds the output
    choices: int = 1
    extra_output: int = 0
    web_searches: int = 0
    input_classes: tuple[str, ...] = ()
    output_classes: tuple[str, ...] = ()
    unbounded: str | None = None  # the field that leaves the call without a bound

    def with_output(self, max_output: int) -> "Bound":
        """Return this bound with a lower limit of output tokens."""
        output = max_output * self.choices + self.extra_output
        return replace(self, max_output=max_output, output_tokens=output)


class UnboundedError(ValueError):
    """A call that no hard budget can hold: without a price, or without a bound."""

    def __init__(self, code: str, message: str, param: str) -> None:
        """Name the field."""
        super().__init__(message)
        self.code, self.param = code, param


def limits(listings: Iterable[Listing | None], key_output: int | None) -> Limits:
    """Return what is known of all models that may answer: largest window, smallest output limit."""
    found = list(listings)
    windows = [listing.context_window for listing in found if listing]
    outputs = [listing.max_output_tokens for listing in found if listing]
    known = [window for window in windows if window is not None]
    window = max(known) if known and len(known) == len(found) else None
    return Limits(window, min((n for n in outputs if n is not None), default=None), key_output)


def check(bounded: "Bound", *, is_priced: bool, model: str) -> None:
    """Raise UnboundedError for what no hard budget can hold."""
    if not is_priced:
        message = f"The model {model!r} has no price, and a hard budget covers this call."
        raise UnboundedError("unpriced_model", message, "model")
    if bounded.unbounded:
        message = f"`{bounded.unbounded}` leaves the cost of this call without a bound."
        raise UnboundedError("unbounded_request", message, bounded.unbounded)


def check_breach(model: str, form: str, breaches: Container[tuple[str, str]]) -> None:
    """Raise UnboundedError for a kind of call that has cost more than its hold before."""
    if (model, form) in breaches:
        message = (
            f"A call of {model!r} in this format cost more than was held for it. Until an operator"
            " clears this, such calls are refused under a hard budget."
        )
        raise UnboundedError("unbounded_request", message, "model")


def bound(asked: Asked, size: Size, limits: Limits) -> Bound:
    """Return the most that the call can use; `unbounded` names what prevents a bound.

    Under a hard budget an unbounded call is refused; elsewhere the bound is the best guess.
    """
    input_tokens, unbounded = _input(size, limits)
    max_output = _output(asked, limits)
    most = limits.context_window if max_output is None else max_output
    if most is None:
        unbounded = unbounded or "max_tokens"
    return Bound(
        input_tokens=input_tokens,
        output_tokens=(most or 0) * asked.choices + size.extra_output,
        max_output=max_output,
        choices=asked.choices,
        extra_output=size.extra_output,
        web_searches=size.web_searches,
        input_classes=size.input_classes,
        output_classes=size.output_classes,
        unbounded=size.unbounded or unbounded,
    )


def hold(bounded: Bound, ceiling: Rates) -> Decimal:
    """Return the most that the call can cost in USD, rounded up to 12 decimals."""
    per_input = _dearest(ceiling, bounded.input_classes)
    per_output = _dearest(ceiling, bounded.output_classes)
    tokens = bounded.input_tokens * per_input + bounded.output_tokens * per_output
    fees = bounded.web_searches * (ceiling.of("searches") or ZERO) + (
        ceiling.of("requests") or ZERO
    )
    return money.round_up(money.EXACT.add(money.EXACT.multiply(tokens, PER_MILLION), fees))


def first(bounded: Bound, tokens: int) -> Bound:
    """Return the bound of the first part of an answer, of so many tokens at most."""
    return replace(bounded, output_tokens=min(bounded.output_tokens, tokens))


def fitted(bounded: Bound, ceiling: Rates, available: Decimal) -> Bound | None:
    """Lower the output until the hold fits into `available`; None when the least does not fit."""
    if hold(bounded, ceiling) <= available:
        return bounded
    most = _most(bounded)
    per_output = _dearest(ceiling, bounded.output_classes) * bounded.choices * PER_MILLION
    if not per_output or hold(least(bounded), ceiling) > available:
        return None
    room = available - hold(bounded.with_output(0), ceiling)
    tokens = max(min(LEAST_OUTPUT, most), min(most, int(room / per_output)))
    while hold(bounded.with_output(tokens), ceiling) > available:
        tokens -= 1  # the division may have rounded up
    return bounded.with_output(tokens)


def least(bounded: Bound) -> Bound:
    """Return the bound of the shortest answer that is worth asking for."""
    return bounded.with_output(min(LEAST_OUTPUT, _most(bounded)))


def _most(bounded: Bound) -> int:
    """Return the most output tokens of one choice, stated or not."""
    if bounded.max_output is not None:
        return bounded.max_output
    return (bounded.output_tokens - bounded.extra_output) // bounded.choices


def _input(size: Size, limits: Limits) -> tuple[int, str | None]:
    """Bound the input by bytes, or by the context window where bytes say nothing."""
    tools = TOOLS_OVERHEAD + TOOL_OVERHEAD * size.tools if size.tools else 0
    by_text = size.text_bytes + BASE_OVERHEAD + MESSAGE_OVERHEAD * size.messages + tools
    window = limits.context_window
    if size.media is not None or size.rounds > 1:  # what tools bring in has no bytes here either
        unread = size.media or "tools"
        return (window * size.rounds, None) if window is not None else (by_text, unread)
    return (by_text if window is None else min(by_text, window)), None


def _output(asked: Asked, limits: Limits) -> int | None:
    """Return the limit to send: the client's own or else the model's, never above the key's."""
    stated = limits.model_output if asked.max_output is None else asked.max_output
    known = [limit for limit in (stated, limits.key_output) if limit is not None]
    return min(known) if known else None


def _dearest(ceiling: Rates, classes: tuple[str, ...]) -> Decimal:
    """Return the highest rate of the classes that the call may use."""
    return max((ceiling.of(name) or ZERO for name in classes), default=ZERO)
