"""Which rollup rows cover a range: months where they fit, days at their edges, hours inside a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Case, CharField, DateField, F, Func, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from attribution import calendar
from attribution.ledger.models import Grain
from attribution.reports.filters import Range


@dataclass(frozen=True, slots=True)
class Tile:
    """Buckets [first, end) of one grain; days and months are named by their first date."""

    grain: Grain
    first: datetime
    end: datetime

    @property
    def condition(self) -> Q:
        """Return the condition that selects the rows."""
        return Q(grain=self.grain, bucket__gte=self.first, bucket__lt=self.end)


def cover(chosen: Range, *, finest: Grain = Grain.MONTH) -> tuple[Tile, ...]:
    """Return tiles that cover a range once; none is coarser than `finest`, the coarsest come first.

    Every grain holds the whole ledger, so whichever tiles are taken, their rows sum to the same.
    """
    if finest == Grain.HOUR:
        return (Tile(Grain.HOUR, chosen.starts_at, chosen.ends_at),)
    first, end = _whole_days(chosen)
    if first >= end:
        return (Tile(Grain.HOUR, chosen.starts_at, chosen.ends_at),)
    found = [*_dates(first, end, finest), *_edges(chosen, first, end)]
    return tuple(tile for tile in found if tile.first < tile.end)


def condition(chosen: Range, *, finest: Grain = Grain.MONTH) -> Q:
    """Return the condition that selects the rows of a range."""
    found = Q()
    for tile in cover(chosen, finest=finest):
        found |= tile.condition
    return found


def needs_hours(chosen: Range, *, finest: Grain = Grain.MONTH) -> bool:
    """Say whether a range cannot be covered by whole days."""
    return any(tile.grain == Grain.HOUR for tile in cover(chosen, finest=finest))


def local_date(interval: str, zone: ZoneInfo) -> Combinable:
    """Return the expression of the local day or month, named by its first date, that a row is in."""
    is_hour = When(grain=Grain.HOUR, then=Value(zone.key))
    at = Case(is_hour, default=Value("UTC"), output_field=CharField())
    local = Func(at, F("bucket"), function="timezone")
    return Cast(Func(Value(interval), local, function="date_trunc"), DateField())


def _whole_days(chosen: Range) -> tuple[date, date]:
    """Return the local days [first, end) that lie in the range from beginning to end."""
    first = calendar.local_day(chosen.starts_at, chosen.zone)
    if calendar.day_start(first, chosen.zone) < chosen.starts_at:
        first += timedelta(days=1)
    return first, calendar.local_day(chosen.ends_at, chosen.zone)


def _dates(first: date, end: date, finest: Grain) -> Iterator[Tile]:
    opens, shuts = end, end
    if finest == Grain.MONTH:
        month = calendar.month_start(first)
        opens = month if month == first else calendar.add_months(month, 1)
        shuts = calendar.month_start(end)
    if opens < shuts:
        yield Tile(Grain.MONTH, _name(opens), _name(shuts))
        yield Tile(Grain.DAY, _name(first), _name(opens))
        yield Tile(Grain.DAY, _name(shuts), _name(end))
    else:
        yield Tile(Grain.DAY, _name(first), _name(end))


def _edges(chosen: Range, first: date, end: date) -> Iterator[Tile]:
    yield Tile(Grain.HOUR, chosen.starts_at, calendar.day_start(first, chosen.zone))
    yield Tile(Grain.HOUR, calendar.day_start(end, chosen.zone), chosen.ends_at)


def _name(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
