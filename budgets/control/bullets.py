"""Bullet bars: spent solid, held hatched, uncertain dotted, thresholds as ticks, the forecast as a marker."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)
FULL = Decimal(100)
ROOM = Decimal("1.02")  # so that a mark at the end of the bar is seen whole


@dataclass(frozen=True, slots=True)
class Bullet:
    """One bar; its track is as long as the limit, or as what passes it."""

    limit: Decimal
    spent: Decimal
    held: Decimal = ZERO
    uncertain: Decimal = ZERO
    thresholds: tuple[Decimal, ...] = ()  # amounts
    expected: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None

    @property
    def scale(self) -> Decimal:
        """Return the amount that the whole width stands for."""
        used = max(self.spent, ZERO) + self.held + self.uncertain
        most = max(used, self.expected or ZERO, self.high or ZERO)
        return self.limit if most <= self.limit else most * ROOM

    @property
    def track_width(self) -> str:
        """Return how long the limit is."""
        return self._at(self.limit)

    @property
    def spent_width(self) -> str:
        """Return the length of the solid part."""
        return self._at(self.spent)

    @property
    def held_start(self) -> str:
        """Return where the hatched part begins."""
        return self._at(self.spent)

    @property
    def held_width(self) -> str:
        """Return the length of the hatched part."""
        return self._length(self.spent, self.spent + self.held)

    @property
    def uncertain_start(self) -> str:
        """Return where the dotted part begins."""
        return self._at(self.spent + self.held)

    @property
    def uncertain_width(self) -> str:
        """Return the length of the dotted part."""
        start = self.spent + self.held
        return self._length(start, start + self.uncertain)

    @property
    def ticks(self) -> list[str]:
        """Return where the thresholds stand."""
        return [self._at(amount) for amount in self.thresholds if ZERO < amount < self.scale]

    @property
    def is_passed(self) -> bool:
        """Say whether the bar goes, or is expected to go, past the limit."""
        return self.scale > self.limit

    @property
    def marker(self) -> str:
        """Return where the forecast stands; nothing without one."""
        return "" if self.expected is None else self._at(self.expected)

    @property
    def low_start(self) -> str:
        """Return where the interval of the forecast begins; nothing without one."""
        return "" if self.low is None or self.high is None else self._at(self.low)

    @property
    def interval_width(self) -> str:
        """Return how wide the interval of the forecast is."""
        return self._length(self.low or ZERO, self.high or ZERO)

    def _at(self, amount: Decimal) -> str:
        return f"{self._place(amount)}%"

    def _length(self, start: Decimal, end: Decimal) -> str:
        return f"{self._place(end) - self._place(start)}%"

    def _place(self, amount: Decimal) -> Decimal:
        share = amount / self.scale * FULL if self.scale else (FULL if amount > 0 else ZERO)
        return min(max(share, ZERO), FULL).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
