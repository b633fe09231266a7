"""A message in words, before it becomes a mail, a line in a chat or a note in the pages."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from django.utils.translation import gettext

from attribution.templatetags.tollkeeper import NO_BREAK, decimal, share_text

Payload = dict[str, Any]
ONE = Decimal(1)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of something is used, drawn with cells of a table: 100 of them at most."""

    filled: int
    is_full: bool

    @property
    def empty(self) -> int:
        """Return what is left of the bar."""
        return 100 - self.filled


@dataclass(frozen=True, slots=True)
class Table:
    """A small table: its first column names, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """The fact in the subject, the decision it needs, then the figures and where to look."""

    level: str  # bad, warn, good, info: an icon and a colour, never alone
    subject: str
    decision: str
    fact: str
    button: str
    path: str
    foot: str
    bar: Bar | None = None
    under_bar: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    is_acknowledgeable: bool = field(default=True)


def amount(payload: Payload, name: str) -> Decimal:
    """Return an amount of a payload; one that is not there is nothing."""
    return Decimal(payload.get(name) or "0")


def instant(payload: Payload, name: str) -> datetime:
    """Return an instant of a payload."""
    return datetime.fromisoformat(payload[name])


def day(payload: Payload, name: str) -> date | None:
    """Return a day of a payload, if it has it."""
    text = payload.get(name)
    return date.fromisoformat(text) if text else None


def share_of(part: Decimal, whole: Decimal) -> Decimal:
    """Return part by whole, rounded down: what is not used up does not read as used up."""
    if not whole:
        return ONE
    share = part / whole
    return share.quantize(Decimal("0.01"), ROUND_DOWN) if share >= Decimal("0.1") else share


def places(size: Decimal) -> int:
    """Return the decimals that amounts of this size are shown with."""
    if size >= 100:
        return 0
    return 2 if size >= 1 else 6


def usd(value: Decimal, *, like: Decimal | None = None) -> str:
    """Write an amount with its currency, as finely as amounts of the size of `like` need."""
    shown = decimal(value, places=places(abs(value if like is None else like)))
    return gettext("%(amount)s USD") % {"amount": shown}


def percent(share: Decimal) -> str:
    """Write a share as a percentage."""
    return share_text(share)


def plain(text: str) -> str:
    """Return a subject in letters that need no encoding, on one line."""
    return " ".join(text.replace(NO_BREAK, " ").replace("\N{NARROW NO-BREAK SPACE}", " ").split())


def bar(share: Decimal) -> Bar:
    """Return the bar of a share."""
    return Bar(min(100, int(share * 100)), share >= ONE)
