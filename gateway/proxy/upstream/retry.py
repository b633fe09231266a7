"""When a failed attempt may be repeated, and after how long."""

import math
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

FIRST = 0.25  # seconds
LONGEST = 8.0
PATIENCE = 10.0  # a provider that asks for more is left to the client
ATTEMPTS = 3
UNBILLED = (429, 503)


def is_unbilled(status: int) -> bool:
    """Tell whether a complete answer of this status is known to cost nothing and to pass."""
    return status in UNBILLED


def may_retry(attempt: int, *, is_free: bool, targets: int = 1) -> bool:
    """Tell whether attempt number `attempt` (from 1) may be followed by another.

    Only what is provably unbilled (`is_free`): never sent, or refused by a complete 429 or 503. A
    broken answer and a timeout never are. Every target gets its try.
    """
    return is_free and attempt < max(ATTEMPTS, targets)


def delay(attempt: int, *, chance: float, asked: float | None = None) -> float | None:
    """Return the seconds to wait after try number `attempt` of one target; None when it is not worth waiting.

    `chance` in [0, 1) spreads the callers; `asked` is the provider's Retry-After.
    """
    if asked is not None and asked > PATIENCE:
        return None
    backoff = min(LONGEST, math.ldexp(FIRST, attempt - 1))
    return max(asked or 0.0, backoff * (0.5 + chance / 2))


def retry_after(headers: Iterable[tuple[bytes, bytes]], *, at: datetime) -> float | None:
    """Read how many seconds a provider asks to wait, from milliseconds, seconds or a date."""
    found = {name: value.decode("latin-1").strip() for name, value in headers}
    milliseconds = _number(found.get(b"retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = found.get(b"retry-after", "")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(text) - at).total_seconds())
    except (ValueError, TypeError):
        return None


def _number(text: str) -> float | None:
    """Return a plain non-negative number."""
    whole, _, fraction = text.partition(".")
    if not whole.isascii() or not whole.isdigit() or len(whole) > 9:
        return None
    return float(text) if not fraction or (fraction.isascii() and fraction.isdigit()) else None
