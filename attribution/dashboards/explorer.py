"""The Explorer: any dimensions, filters and intervals, as a chart and a table that lead further in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from attribution.dashboards import charts, questions
from attribution.dashboards.charts import Chart, Column, Kind, Series, Shape, Table
from attribution.dashboards.names import DIMENSIONS, Names
from attribution.dashboards.questions import Asked
from attribution.dashboards.scene import Scene
from attribution.reports import ranking
from attribution.reports.breakdown import Row, Sums
from attribution.reports.ranking import Ranked
from attribution.templatetags.tollkeeper import axis_text, month_text

PAGE = 50
DRAWN = 8
MOST = 5000  # groups of a file
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Line:
    """A group as the page shows it: its names, its figures, and where a click leads."""

    names: tuple[str, ...]
    sums: Sums
    share: Decimal | None
    change: Decimal | None
    url: str
    calls_url: str

    @property
    def cost(self) -> Decimal | None:
        """Return the cost; None when no call of the group has a price."""
        return known(self.sums)

    @property
    def per_call(self) -> Decimal | None:
        """Return the cost of a call that has a price."""
        priced = self.sums.calls - self.sums.unpriced_calls
        return self.sums.cost / priced if priced > 0 else None

    @property
    def latency(self) -> Decimal | None:
        """Return the average latency in milliseconds."""
        average = self.sums.average_ms
        return None if average is None else charts.tenths(average)


def known(sums: Sums) -> Decimal | None:
    """Return the cost of a group; None, not 0, when none of its calls has a price."""
    return sums.cost if sums.calls > sums.unpriced_calls or sums.cost else None


def lines(asked: Asked, found: Ranked, names: Names, scene: Scene, calls_url: str) -> list[Line]:
    """Return the rows of the table, each with the question of what is inside it."""
    codes = {pk: center.code for pk, center in scene.centers.items()}
    learn(names, asked, found.rows)
    told = []
    for row in found.rows:
        values = dict(zip(asked.question.group_by, row.group, strict=True))
        inside = asked.inside(values, codes)
        before = found.before.get(row.group)
        told.append(
            Line(
                label(names, asked, row),
                row.sums,
                row.sums.cost / found.total.cost if found.total.cost else None,
                row.sums.cost / before - 1 if before else None,
                inside.url() if inside else "",
                f"{calls_url}{inside.url()}" if inside else "",
            )
        )
    return told


def learn(names: Names, asked: Asked, rows: Iterable[Row]) -> None:
    """Ask once for the names of every value that is shown."""
    kept = list(rows)
    for place, dimension in enumerate(asked.question.group_by):
        names.learn(dimension, {row.group[place] for row in kept})
    for dimension, values in asked.question.values.items():
        names.learn(dimension, set(values))


def label(names: Names, asked: Asked, row: Row) -> tuple[str, ...]:
    """Return what the group of a row is called."""
    pairs = zip(asked.question.group_by, row.group, strict=True)
    return tuple(names.of(dimension, value) for dimension, value in pairs)


def chart(asked: Asked, found: Ranked, names: Names, scene: Scene) -> Chart:
    """Return the measure over time: the dearest groups, and the others together."""
    top = found.rows[:DRAWN] if not asked.after else ()
    points = ranking.series(asked.filters, asked.question, top)
    whole = ranking.over_time(asked.filters, asked.question)
    moments = sorted({row.starts_at for row in whole if row.starts_at})
    series = _series(asked, top, points, moments, names, scene)
    local = [timezone.localtime(moment) for moment in moments]  # a day has its own name
    rest = _rest(asked, series, whole, moments)
    drawn = [*series, rest] if any(rest.values) else series
    return Chart(
        name="explorer",
        title=title(asked),
        unit=unit(asked.measure),
        shape=Shape.STACKED,
        labels=tuple(moment_text(moment, asked.question.interval) for moment in local),
        series=tuple(drawn),
        table=_table(asked, drawn, local),
        shaded=charts.weekends(local) if asked.question.interval == "day" else (),
        texts={"total": gettext("Total")},
    )


def title(asked: Asked) -> str:
    """Return what is drawn, in words."""
    facts = {
        "measure": MEASURES[asked.measure](),
        "by": _inside(str(DIMENSIONS[asked.by])),
        "interval": INTERVALS[asked.question.interval](),
    }
    # Translators: title of a chart: Cost per day by cost center
    return gettext("%(measure)s per %(interval)s by %(by)s") % facts


def _inside(label: str) -> str:
    """Return a label as it stands inside a sentence; an abbreviation stays."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def unit(measure: str) -> str:
    """Return the unit of a measure."""
    return {"cost": "USD", "calls": gettext("calls"), "tokens": gettext("tokens")}[measure]


def moment_text(moment: datetime, interval: str) -> str:
    """Return an interval as an axis shows it."""
    if interval == "month":
        return month_text(moment)
    return axis_text(moment) if interval == "day" else f"{axis_text(moment)} {moment:%H:%M}"


MEASURES: dict[str, Callable[[], str]] = {
    "cost": lambda: gettext("Cost"),
    "calls": lambda: gettext("Calls"),
    "tokens": lambda: gettext("Tokens"),
}
INTERVALS: dict[str, Callable[[], str]] = {
    "hour": lambda: gettext("hour"),
    "day": lambda: gettext("day"),
    "month": lambda: gettext("month"),
}


def _measured(sums: Sums, measure: str) -> Decimal:
    if measure == "cost":
        return sums.cost
    return Decimal(sums.calls if measure == "calls" else sums.total_tokens)


def _series(
    asked: Asked,
    top: Sequence[Row],
    points: Sequence[Row],
    moments: Sequence[datetime],
    names: Names,
    scene: Scene,
) -> list[Series]:
    at = {(row.group, row.starts_at): _measured(row.sums, asked.measure) for row in points}
    learn(names, asked, top)
    hues = charts.hues(row.group for row in top)
    found = []
    for row in top:
        is_center = asked.question.group_by == ("cost_center",)
        hue = scene.hue(row.group[0]) if is_center else hues[row.group]
        values = tuple(at.get((row.group, moment), ZERO) for moment in moments)
        found.append(Series(" · ".join(label(names, asked, row)), values, hue))
    return found


def _rest(
    asked: Asked, series: Sequence[Series], whole: Sequence[Row], moments: Sequence[datetime]
) -> Series:
    sums = {row.starts_at: _measured(row.sums, asked.measure) for row in whole}
    drawn = [sum((one.values[n] or ZERO for one in series), ZERO) for n in range(len(moments))]
    values = tuple(sums[moment] - part for moment, part in zip(moments, drawn, strict=True))
    return Series(gettext("Other"), values)


def _table(asked: Asked, series: Sequence[Series], moments: Sequence[datetime]) -> Table:
    kind = Kind.MONEY if asked.measure == "cost" else Kind.COUNT
    is_hour = asked.question.interval == "hour"
    first = Column("interval", gettext("From"), Kind.INSTANT if is_hour else Kind.DAY)
    columns = (first, *(Column(one.label, one.label, kind) for one in series))
    rows = tuple(
        (moment if is_hour else moment.date(), *(_cell(one.values[n], kind) for one in series))
        for n, moment in enumerate(moments)
    )
    totals = (None, *(_cell(one.total, kind) for one in series))
    return Table(columns, rows, totals)


def _cell(value: Decimal | None, kind: Kind) -> Any:
    return int(value) if value is not None and kind == Kind.COUNT else value


def file(asked: Asked, names: Names) -> Table:
    """Return every group as a file has it, up to the most that a sheet should hold."""
    whole = replace(asked, after=0)
    found = ranking.read(whole.filters, whole.question, limit=MOST)
    learn(names, whole, found.rows)
    dimensions = tuple(Column(name, str(DIMENSIONS[name])) for name in whole.question.group_by)
    figures = (
        Column("calls", gettext("Calls"), Kind.COUNT),
        Column("unpriced_calls", gettext("Unpriced calls"), Kind.COUNT),
        Column("tokens", gettext("Tokens"), Kind.COUNT),
        Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
        Column("cost_before_usd", gettext("Cost before (USD)"), Kind.MONEY),
        Column("cost_per_million_tokens_usd", gettext("USD per 1M tokens"), Kind.MONEY),
        Column("average_ms", gettext("Average (ms)"), Kind.MILLISECONDS),
        Column("p95_ms", gettext("p95 (ms)"), Kind.MILLISECONDS),
    )
    rows = tuple((*label(names, whole, row), *_figures(row, found)) for row in found.rows)
    return Table((*dimensions, *figures), rows)


def _figures(row: Row, found: Ranked) -> tuple[Any, ...]:
    sums = row.sums
    return (
        sums.calls,
        sums.unpriced_calls,
        sums.total_tokens,
        known(sums),
        found.before.get(row.group),
        sums.cost_per_million,
        None if sums.average_ms is None else charts.tenths(sums.average_ms),
        None if sums.p95_ms is None else charts.tenths(sums.p95_ms),
    )


def choices(asked: Asked) -> dict[str, Any]:
    """Return what the form offers, with what is chosen."""
    return {
        "dimensions": [(name, label) for name, label in DIMENSIONS.items()],
        "measures": [(name, text()) for name, text in MEASURES.items()],
        "intervals": [(name, INTERVALS[name]()) for name in questions.offered(asked.question)],
    }
