"""A call made elsewhere, as its reporter's JSON tells it: read into an event, or refused by name."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.tokens import CLASSES, Tokens
from attribution.usage import dimensions
from attribution.usage.dimensions import AttributionError, HouseRules, KeyRules
from budgets.reservations.ingest import Event

LONGEST = {"source": 64, "event_id": 255, "model": 256, "provider": 64, "service_tier": 64}
REQUIRED = ("source", "event_id", "model")
RESERVED = "gateway"  # the source of the calls that we carry ourselves
MOST_TOKENS = 10**9  # of a class in one call
MOST_MS = 2**31 - 1
PROMPT = re.compile(r"[A-Za-z0-9._@-]{1,64}")
STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
EXAMPLE = "2026-11-22T14:03:07.123Z"
TOLD = ("user", "safety_identifier", "request_path")  # the other names of dimensions, as in a body
ABOUT = frozenset({*dimensions.NAMES, *TOLD, "tags", "metadata"})
NUMBERS = {"status": "http_status", "latency_ms": "total_ms", "first_byte_ms": "first_byte_ms"}
FIELDS = ABOUT | {
    *(*LONGEST, "occurred_at", "usage", "cost_usd", "prompt_name", "error_code", "is_stream"),
    *NUMBERS,
}


class ReportError(ValueError):
    """An event that is no call; `param` names the field."""

    def __init__(self, message: str, param: str, *, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.code, self.param = code, param


class Reader:
    """Reads the events of one program, attributed as its key allows."""

    def __init__(self, key: KeyRules, house: HouseRules, columns: Mapping[str, Any]) -> None:
        """`columns` are what every call of this program is recorded with."""
        self._key, self._house, self._columns = key, house, columns
        self._plain = self._about({})

    def read(self, item: object) -> Event:
        """Return the event; raise ReportError."""
        if not isinstance(item, dict):
            raise ReportError("an event is an object", "")
        if unknown := item.keys() - FIELDS:
            raise ReportError(f"{min(unknown)[:64]} is not a field of an event", min(unknown)[:64])
        names = {name: _name(item, name) for name in LONGEST}
        if names["source"] == RESERVED:
            raise ReportError(f"the source {RESERVED} is the gateway's own", "source")
        tokens, searches = _usage(item.get("usage"))
        cost = _cost(item.get("cost_usd"))
        if cost is None and item.get("usage") is None:
            raise ReportError("an event tells its usage, its cost_usd, or both", "usage")
        about = self._plain if ABOUT.isdisjoint(item) else self._about(item)
        center, columns = about
        return Event(
            **names,
            occurred_at=_instant(item.get("occurred_at")),
            tokens=tokens,
            searches=searches,
            cost=cost,
            cost_center=center,
            columns={**self._columns, **columns, **_measured(item)},
        )

    def _about(self, item: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the cost center and the other dimensions, by the rules of calls we carry."""
        headers = {
            dimensions.HEADERS[name]: item[name]
            for name in dimensions.NAMES
            if item.get(name) is not None
        }
        body: dict[str, object] = {name: item[name] for name in TOLD if name in item}
        body["metadata"] = {**_pairs(item, "metadata"), **_pairs(item, "tags")}
        try:
            said = dimensions.resolve(headers, body, key=self._key, house=self._house)
        except AttributionError as error:
            raise ReportError(str(error), _field(error.param), code=error.code) from error
        named = {name: getattr(said, name) for name in dimensions.NAMES if name != "cost_center"}
        columns: dict[str, Any] = {name: value for name, value in named.items() if value}
        if said.tags:
            columns["tags"] = dict(said.tags)
        return said.cost_center or "", columns


def _field(source: str) -> str:
    """Return the event's own name for a header."""
    return next((name for name, header in dimensions.HEADERS.items() if header == source), source)


def _name(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None and name not in REQUIRED:
        return ""
    if not isinstance(value, str) or (not value and name in REQUIRED):
        raise ReportError(f"{name} is needed, as text", name)
    if len(value) > LONGEST[name]:
        raise ReportError(f"{name} is longer than {LONGEST[name]} characters", name)
    if dimensions.clean(value) != value:  # a name that is changed would be another one
        raise ReportError(f"{name} has characters or blanks that nobody sees", name)
    return value


def _instant(value: object) -> datetime:
    problem = ReportError(f"occurred_at is an instant such as {EXAMPLE}", "occurred_at")
    if not isinstance(value, str) or not STAMP.match(value):
        raise problem
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise problem from error


def _usage(value: object) -> tuple[Tokens, int]:
    if value is None:
        return Tokens(), 0
    if not isinstance(value, dict):
        raise ReportError("usage is an object of token classes", "usage")
    if unknown := value.keys() - {*CLASSES, "web_searches"}:
        name = min(unknown)[:64]
        raise ReportError(f"there is no token class {name}", f"usage.{name}")
    for name, count in value.items():
        _count(count, f"usage.{name}", MOST_TOKENS)
    counts = {name: count for name, count in value.items() if name != "web_searches"}
    return Tokens(**counts), value.get("web_searches", 0)


def _count(value: object, param: str, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ReportError(f"{param} is a whole number from 0 to {most}", param)
    return value


def _cost(value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ReportError('cost_usd is an amount such as "0.0021"', "cost_usd")
    try:
        cost = money.parse(value) if not isinstance(value, str) or value.isascii() else None
    except money.MoneyError as error:
        raise ReportError(str(error)[:200], "cost_usd", code=error.code) from error
    if cost is None or cost < 0:
        raise ReportError("cost_usd is an amount of at least 0", "cost_usd", code="invalid_amount")
    return cost


def _measured(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the call went."""
    found: dict[str, Any] = {
        column: _count(item[name], name, MOST_MS)
        for name, column in NUMBERS.items()
        if item.get(name) is not None
    }
    if "http_status" in found and not 100 <= found["http_status"] <= 599:
        raise ReportError("status is an HTTP status from 100 to 599", "status")
    if (code := item.get("error_code")) is not None:
        found["error_code"] = _word(code, "error_code")
    if (prompt := item.get("prompt_name")) is not None:
        if not isinstance(prompt, str) or not PROMPT.fullmatch(prompt):
            raise ReportError("prompt_name has 1 to 64 of A-Z a-z 0-9 . _ @ -", "prompt_name")
        found["prompt_name"] = prompt
    if (streamed := item.get("is_stream")) is not None:
        if not isinstance(streamed, bool):
            raise ReportError("is_stream is true or false", "is_stream")
        found["is_stream"] = streamed
    return found


def _word(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ReportError(f"{name} is text", name)
    return dimensions.clean(value)[:64]


def _pairs(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReportError(f"{name} is an object", name)
    return value
