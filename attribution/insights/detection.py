"""Finds anomalies and keeps what is said of them up to date; judging the same again changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import connection

from attribution.insights import anomalies, findings, series, spans
from attribution.insights.anomalies import Limits
from attribution.insights.models import Anomaly, Granularity, Verdict
from attribution.insights.series import Amounts, Bucket, Grid, Series
from attribution.insights.spans import Finding
from attribution.isolation.transaction import required
from attribution.ledger import rollups
from attribution.tenancy.models import Organization

LOOK_BACK = 56  # days that a day is compared with: eight of each weekday
JUDGED_DAYS = 14  # so late may data be and still be judged
ZERO = Decimal(0)
BOTH = (False, True)  # of all keys together, and of each key
Before = Mapping[Bucket, Mapping[date, Bucket]]  # what each bucket is compared with, by day


@dataclass(frozen=True, slots=True)
class Sight:
    """What an evaluation sees: buckets to judge with those before each, amounts, and what is known."""

    grid: Grid
    before: Before
    amounts: Amounts
    first_days: Mapping[Series, date]
    excused: Mapping[Series, list[Anomaly]]
    limits: Limits
    seen_to: datetime


def judge_days(*, at: datetime) -> int:
    """Judge the last days, the running one too, and the hours of the last two; return what changed."""
    return _judge(Granularity.DAY, JUDGED_DAYS, at=at) + judge_hours(at=at, count=48)


def judge_hours(*, at: datetime, count: int = 4) -> int:
    """Judge the running hour and those before it; return how many rows changed.

    In a tenant transaction. Lock: one evaluator per organization at a time, so that the second sees
    what the first found; should it not, the database refuses its row.
    """
    return _judge(Granularity.HOUR, count, at=at)


def retrace(row: Anomaly, *, first: datetime, until: datetime, zone: ZoneInfo) -> list[Finding]:
    """Return how the series of a row stands between two instants, as an evaluator sees it now."""
    grid, each = Grid(row.granularity, zone), findings.series_of(row)
    judged = grid.between(first, until)
    before = {bucket: grid.before(bucket, LOOK_BACK) for bucket in judged}
    organization = Organization.objects.get(pk=required())
    sight = _look(grid, organization, before, only=each, by_key=bool(each.api_key_id), at=until)
    return [_finding(sight, each, bucket) for bucket in judged]


def _judge(granularity: Granularity, count: int, *, at: datetime) -> int:
    _lock()
    data_at = rollups.advanced_at()
    if data_at is None:
        return 0
    organization = Organization.objects.get(pk=required())
    grid = Grid(granularity, ZoneInfo(organization.time_zone))
    seen_to = min(at, data_at)
    judged = tuple(grid.last(seen_to, count))
    before = {bucket: grid.before(bucket, LOOK_BACK) for bucket in judged}
    alerts = findings.Alerts(at, organization.anomaly_alert_usd)
    changed = 0
    for by_key in BOTH:
        sight = _look(grid, organization, before, by_key=by_key, at=seen_to)
        known = _known(grid, judged[0].starts_at, by_key=by_key)
        changed += _keep(sight, known, alerts)
    return changed


def _look(
    grid: Grid,
    organization: Organization,
    before: Before,
    *,
    by_key: bool,
    at: datetime,
    only: Series | None = None,
) -> Sight:
    every = {*before, *(like for likes in before.values() for like in likes.values())}
    limits = Limits(
        organization.anomaly_deviation, organization.anomaly_share, organization.anomaly_least_usd
    )
    return Sight(
        grid,
        before,
        series.read(grid, every, by_key=by_key, only=only),
        series.first_days(since=min(each.day for each in every), by_key=by_key, only=only),
        _excused(every),
        limits,
        at,
    )


def _keep(sight: Sight, known: Mapping[Series, list[Anomaly]], alerts: findings.Alerts) -> int:
    changed = 0
    for each in sorted({*sight.amounts, *known}, key=str):
        rows = known.get(each, [])
        if rows or _is_large_enough(sight, each):
            found = [_finding(sight, each, bucket) for bucket in sight.before]
            told = spans.spans(found, rows)
            changed += sum(findings.keep(span, each, sight.grid, alerts) for span in told)
    return changed


def _finding(sight: Sight, each: Series, bucket: Bucket) -> Finding:
    """Judge one bucket; one that has not ended, or whose data is not all in, may only be too much."""
    likes = dict(_history(sight, each, bucket))
    amounts = sight.amounts.get(each, {})
    actual = amounts.get(bucket.starts_at, ZERO)
    history = {day: amounts.get(like.starts_at, ZERO) for day, like in likes.items()}
    judgement = anomalies.judge(history, bucket.day, sight.limits)
    if judgement is None:
        return Finding(bucket, actual, None, 0)
    side = judgement.side(actual)
    if side < 0 and bucket.ends_at > sight.seen_to:
        side = 0
    references = tuple((likes[day], weight) for day, weight in judgement.references.items())
    return Finding(bucket, actual, judgement, side, references)


def _history(sight: Sight, each: Series, bucket: Bucket) -> Iterator[tuple[date, Bucket]]:
    """Yield the days since the first use, without what people called expected."""
    first = sight.first_days.get(each)
    excused = [*sight.excused.get(each, ())]
    if each.api_key_id is not None:
        excused += sight.excused.get(Series(each.cost_center_id, each.model), ())
    for day, like in sight.before[bucket].items():
        is_excused = any(row.starts_at <= like.starts_at < row.ends_at for row in excused)
        if first is not None and day >= first and not is_excused:
            yield day, like


def _excused(every: set[Bucket]) -> dict[Series, list[Anomaly]]:
    begins, ends = min(b.starts_at for b in every), max(b.ends_at for b in every)
    rows = Anomaly.objects.filter(
        status=Verdict.EXPECTED, starts_at__lt=ends, ends_at__gt=begins
    ).only("cost_center_id", "model", "api_key_id", "starts_at", "ends_at")
    found: dict[Series, list[Anomaly]] = {}
    for row in rows:
        found.setdefault(findings.series_of(row), []).append(row)
    return found


def _known(grid: Grid, since: datetime, *, by_key: bool) -> dict[Series, list[Anomaly]]:
    """Return the rows that reach into what is judged or end where it begins, locked against people."""
    rows = Anomaly.objects.filter(
        granularity=grid.granularity, ends_at__gte=since, api_key_id__isnull=not by_key
    )
    found: dict[Series, list[Anomaly]] = {}
    for row in rows.select_for_update().order_by("id"):
        found.setdefault(findings.series_of(row), []).append(row)
    return found


def _is_large_enough(sight: Sight, each: Series) -> bool:
    """Say whether any amount of a series could be further from another than the least limit."""
    return max(sight.amounts.get(each, {}).values(), default=ZERO) > sight.limits.least


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s::uuid::text, 17))", [required()]
        )
