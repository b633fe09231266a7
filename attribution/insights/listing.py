"""The list of anomalies: what the URL asks for, the largest first, page by page."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum, UUIDField, Value
from django.db.models.functions import Abs, Coalesce
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from attribution import money
from attribution.dashboards.scene import Scene
from attribution.insights import visibility, words
from attribution.insights.models import Anomaly, Granularity, Verdict
from attribution.reports.filters import Filters
from attribution.tenancy.access import OrganizationRequest

PAGE = 50
OPEN, ALL = "open", "all"
STATUSES = {
    OPEN: _("new or acknowledged"),
    Verdict.NEW.value: _("new"),
    Verdict.ACKNOWLEDGED.value: _("acknowledged"),
    Verdict.EXPECTED.value: _("expected"),
    Verdict.FALSE_POSITIVE.value: _("false alarm"),
    ALL: _("all"),
}
UNITS = {
    "": _("days, and hours outside of them"),
    Granularity.DAY.value: _("days"),
    Granularity.HOUR.value: _("hours"),
}
ZERO = Decimal(0)
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Line:
    """An anomaly as the list shows it."""

    row: Anomaly
    place: str
    span: str
    why: str
    most: str
    level: str

    @classmethod
    def of(cls, row: Anomaly) -> "Line":
        """Say what the list says of an anomaly."""
        level = words.LEVELS[Verdict(row.status)]
        facts = words.span(row), words.why(row), words.most(row)
        return cls(row, words.place(row), *facts, level)

    @property
    def impact(self) -> str:
        """Return the impact with its sign."""
        return words.signed(self.row.impact)

    @property
    def status(self) -> str:
        """Return the status in a word."""
        return str(Verdict(self.row.status).label)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the URL asks for."""

    filters: Filters
    status: str
    unit: str

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Return the URL parameters beside range and cost centers."""
        chosen = [("status", self.status)] if self.status != OPEN else []
        return chosen + ([("by", self.unit)] if self.unit else [])

    @property
    def is_narrow(self) -> bool:
        """Say whether more would be shown with fewer filters."""
        return bool(self.filters.cost_centers) or self.status != ALL or bool(self.unit)


def wish(scene: Scene, query: QueryDict) -> Wish:
    """Read the wish beside what every page of spend looks at."""
    status, unit = query.get("status", OPEN), query.get("by", "")
    return Wish(
        scene.filters, status if status in STATUSES else OPEN, unit if unit in UNITS else ""
    )


def found(request: OrganizationRequest, asked: Wish) -> QuerySet[Anomaly]:
    """Return the anomalies that meet a wish."""
    chosen = asked.filters
    rows = visibility.visible(request).filter(
        starts_at__lt=chosen.range.ends_at, ends_at__gt=chosen.range.starts_at
    )
    if chosen.cost_centers is not None:
        rows = rows.filter(cost_center__in=chosen.cost_centers.values())
    if asked.status == OPEN:
        rows = rows.filter(status__in=[Verdict.NEW, Verdict.ACKNOWLEDGED])
    elif asked.status != ALL:
        rows = rows.filter(status=asked.status)
    return rows.filter(granularity=asked.unit) if asked.unit else rows.exclude(_is_of_a_day())


def page(rows: QuerySet[Anomaly], query: QueryDict) -> dict[str, Any]:
    """Return the page of the list that the URL asks for, and a sentence about the whole."""
    ranked = rows.annotate(size=Abs("impact")).order_by("-size", "id")
    after = _place(query)
    if after is not None:
        size, last = after
        ranked = ranked.filter(Q(size__lt=size) | Q(size=size, pk__gt=last))
    shown = list(ranked[: PAGE + 1])
    return {
        "lines": [Line.of(row) for row in shown[:PAGE]],
        "next_url": _next(query, shown),
        "is_first": after is None,
        "finding": _finding(rows),
    }


def _finding(rows: QuerySet[Anomaly]) -> str:
    sums = rows.order_by().aggregate(
        count=Count("pk"),
        more=Sum("impact", filter=Q(impact__gt=0), default=ZERO),
        less=Sum("impact", filter=Q(impact__lt=0), default=ZERO),
    )
    return words.summary(sums["count"], sums["more"], -sums["less"])


def _is_of_a_day() -> Q:
    """Return the hours that an anomaly of days tells already."""
    days = Anomaly.objects.annotate(center=_known("cost_center_id"), key=_known("api_key_id"))
    same = days.filter(
        granularity=Granularity.DAY,
        model=OuterRef("model"),
        center=_known(OuterRef("cost_center_id")),
        key=_known(OuterRef("api_key_id")),
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    )
    return Q(granularity=Granularity.HOUR) & Q(Exists(same))


def _known(name: str | OuterRef) -> Coalesce:
    """Return an id that equals itself where there is none."""
    return Coalesce(name, Value(NOBODY, output_field=UUIDField()))


def _place(query: QueryDict) -> tuple[Decimal, UUID] | None:
    """Return the last row of the page before; a place that cannot be read is the beginning."""
    size, _tilde, row = query.get("after", "").partition("~")
    try:
        return money.parse(size), UUID(row)
    except (ValueError, InvalidOperation):
        return None


def _next(query: QueryDict, shown: list[Any]) -> str:
    if len(shown) <= PAGE:
        return ""
    last, parameters = shown[PAGE - 1], query.copy()
    parameters["after"] = f"{money.text(last.size)}~{last.pk}"
    return f"?{parameters.urlencode()}"
