"""What is compared: days or hours of a cost center's spend on a model, read from rollups.

Entries that are no calls (top-ups, taxes, credits, adjustments) have no model and are in no series.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import F, Min, QuerySet, Sum

from attribution import calendar
from attribution.insights.models import Granularity
from attribution.ledger.models import Facet, Grain, Rollup

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MOST_NAMES = 2000
QUARTERS = tuple(timedelta(minutes=n) for n in (0, 15, 30, 45))  # a rollup's hour may be that fine


@dataclass(frozen=True, slots=True)
class Series:
    """Whose spend: a cost center's on a model, or of it that of one API key."""

    cost_center_id: UUID | None
    model: str
    api_key_id: UUID | None = None


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """A day or an hour of the organization's zone, and the local day it lies in."""

    starts_at: datetime
    ends_at: datetime
    day: date


Amounts = Mapping[Series, Mapping[datetime, Decimal]]


@dataclass(frozen=True, slots=True)
class Grid:
    """The days, or the hours, of a zone."""

    granularity: str
    zone: ZoneInfo

    def last(self, at: datetime, count: int) -> list[Bucket]:
        """Return the running bucket and those before it, `count` in all, the oldest first."""
        found = [self.holding(at)]
        while len(found) < count:
            found.append(self.holding(found[-1].starts_at - timedelta(microseconds=1)))
        return found[::-1]

    def between(self, first: datetime, until: datetime) -> list[Bucket]:
        """Return the buckets that begin in [first, until)."""
        found, at = [], first
        while at < until:
            found.append(self.holding(at))
            at = found[-1].ends_at
        return found

    def holding(self, at: datetime) -> Bucket:
        """Return the bucket that holds an instant."""
        day = calendar.local_day(at, self.zone)
        if self.granularity == Granularity.DAY:
            return Bucket(*calendar.bounds(day, day + DAY, self.zone), day)
        starts_at = self._floor(at)
        return Bucket(starts_at, self._floor(starts_at + HOUR + timedelta(minutes=30)), day)

    def before(self, bucket: Bucket, days: int) -> dict[date, Bucket]:
        """Return the same bucket of each of the days before; an hour that a day lacks is absent."""
        found = {}
        for n in range(days, 0, -1):
            day = bucket.day - n * DAY
            like = self._on(day, bucket)
            if self.granularity == Granularity.DAY or self._wall(like) == self._wall(bucket):
                found[day] = like
        return found

    def names(self, bucket: Bucket) -> list[datetime]:
        """Return what the rollup's rows of a bucket are called."""
        if self.granularity == Granularity.DAY:
            return [datetime.combine(bucket.day, time.min, UTC)]
        return [bucket.starts_at + quarter for quarter in QUARTERS]

    def start(self, name: datetime) -> datetime:
        """Return when the bucket begins that a row of the rollup is part of."""
        if self.granularity == Granularity.DAY:
            return calendar.day_start(name.date(), self.zone)
        return self._floor(name)

    def _on(self, day: date, bucket: Bucket) -> Bucket:
        if self.granularity == Granularity.DAY:
            return Bucket(*calendar.bounds(day, day + DAY, self.zone), day)
        return self.holding(datetime.combine(day, self._wall(bucket), self.zone).astimezone(UTC))

    def _wall(self, bucket: Bucket) -> time:
        return bucket.starts_at.astimezone(self.zone).time().replace(fold=0)

    def _floor(self, at: datetime) -> datetime:
        local = at.astimezone(self.zone)
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def read(
    grid: Grid, buckets: Iterable[Bucket], *, by_key: bool, only: Series | None = None
) -> Amounts:
    """Return what every series cost in the buckets, what is uncertain included; nothing is zero."""
    names = sorted({name for bucket in buckets for name in grid.names(bucket)})
    grain = Grain.DAY if grid.granularity == Granularity.DAY else Grain.HOUR
    rows = _rows(by_key=by_key, only=only).filter(grain=grain, **_bounds(grain, names))
    found: dict[Series, dict[datetime, Decimal]] = {}
    for row in _summed(rows, by_key=by_key):
        starts_at = grid.start(row["bucket"])
        amounts = found.setdefault(_series(row), {})
        amounts[starts_at] = amounts.get(starts_at, Decimal(0)) + row["amount"]
    return found


def first_days(*, since: date, by_key: bool, only: Series | None = None) -> dict[Series, date]:
    """Return the first day on which each series was used, within what is looked back on."""
    begins = datetime.combine(since, time.min, UTC)
    rows = _rows(by_key=by_key, only=only).filter(grain=Grain.DAY, bucket__gte=begins)
    named = rows.order_by().values(*_names(by_key=by_key)).annotate(first=Min("bucket"))
    return {_series(row): row["first"].date() for row in named.iterator()}


def _rows(*, by_key: bool, only: Series | None) -> QuerySet[Rollup]:
    rows = Rollup.objects.filter(facet=Facet.KEY if by_key else Facet.MODEL).exclude(model="")
    rows = rows.exclude(value="") if by_key else rows
    if only is None:
        return rows
    key = {"value": str(only.api_key_id)} if by_key else {}
    return rows.filter(cost_center_id=only.cost_center_id, model=only.model, **key)


def _bounds(grain: Grain, names: Collection[datetime]) -> dict[str, Any]:
    """Return the pruned range, or of few hours of many days these alone."""
    if not names:
        return {"bucket__in": []}
    if grain == Grain.DAY or len(names) > MOST_NAMES:
        return {"bucket__gte": min(names), "bucket__lte": max(names)}
    return {"bucket__in": names}


def _summed(rows: QuerySet[Rollup], *, by_key: bool) -> Iterator[dict[str, Any]]:
    names = [*_names(by_key=by_key), "bucket"]
    amount = Sum(F("usd_amount") + F("uncertain_amount"))
    yield from rows.order_by().values(*names).annotate(amount=amount).iterator()


def _names(*, by_key: bool) -> list[str]:
    """Return the columns that tell series apart."""
    return ["cost_center_id", "model", *(["value"] if by_key else [])]


def _series(row: Mapping[str, Any]) -> Series:
    key = UUID(row["value"]) if "value" in row else None
    return Series(row["cost_center_id"], row["model"], key)
