"""The history of alerts: every threshold that was crossed, with who was told and who has seen to it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils.translation import gettext

from attribution.dashboards.charts import Column, Kind, Table
from attribution.reports.filters import FilterError, Range
from attribution.tenancy.access import OrganizationRequest
from budgets.alerts.models import Alert
from budgets.channels.models import ChannelKind, Topic
from budgets.control import history, sight
from budgets.control.structure import Structure
from budgets.limits.models import Basis, Budget
from budgets.notifications.models import Acknowledgement, Notification

PAGE = 50
MOST = 10_000  # rows of a file
SEEN, OPEN = "seen", "open"


@dataclass(frozen=True, slots=True)
class Crossing:
    """An alert with its deliveries and its acknowledgement."""

    alert: Alert
    told: tuple[Notification, ...]
    seen: Acknowledgement | None

    @property
    def budget(self) -> Budget:
        """Return the budget that the alert is of."""
        budget: Budget = self.alert.budget_period.budget
        return budget

    @property
    def label(self) -> str:
        """Return the threshold as people say it."""
        return history.told(self.alert, self.alert.threshold)

    @property
    def basis(self) -> str:
        """Return what the threshold looks at, as a word."""
        return str(Basis(self.alert.basis).label)

    @property
    def share(self) -> Decimal | None:
        """Return what was charged of the limit when it was crossed."""
        return self.alert.actual_at / self.alert.limit_at if self.alert.limit_at else None

    @property
    def delivered(self) -> list[str]:
        """Say to whom it was delivered, each with the way it went."""
        return [_told(row) for row in self.told if row.done_at]

    @property
    def delivered_at(self) -> datetime | None:
        """Return when the first message was delivered."""
        return min((row.done_at for row in self.told if row.done_at), default=None)

    @property
    def failed(self) -> int:
        """Return how many messages were given up."""
        return sum(row.given_up_at is not None for row in self.told)


def visible(request: OrganizationRequest, structure: Structure) -> QuerySet[Alert]:
    """Return the alerts of budgets that this person may look at."""
    budgets = sight.budgets(request, structure).values("pk")
    rows = Alert.objects.filter(budget_period__budget__in=budgets)
    return rows.select_related("budget_period__budget").order_by("-crossed_at", "-id")


def chosen(rows: QuerySet[Alert], query: QueryDict, days: Range) -> QuerySet[Alert]:
    """Return the alerts that the address asks for."""
    rows = rows.filter(crossed_at__gte=days.starts_at, crossed_at__lt=days.ends_at)
    budget, basis, state = (query.get(name, "") for name in ("budget", "basis", "seen"))
    if budget:
        rows = rows.filter(budget_period__budget_id=_id(budget))
    if basis and basis not in Basis.values:
        raise FilterError(f"basis: {basis[:40]}")
    if basis:
        rows = rows.filter(basis=basis)
    if state and state not in {SEEN, OPEN}:
        raise FilterError(f"seen: {state[:40]}")
    if state:
        known = Acknowledgement.objects.filter(topic=Topic.THRESHOLD, subject=OuterRef("named"))
        rows = rows.annotate(named=Cast("id", TextField()))
        rows = rows.filter(Exists(known) if state == SEEN else ~Exists(known))
    return rows


def page(rows: QuerySet[Alert], before: str, *, limit: int = PAGE) -> tuple[list[Crossing], str]:
    """Return a page of alerts, the newest first, and where the next one begins; empty at the end."""
    if before:
        rows = rows.filter(_before(before))
    found = list(rows[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    following = f"{last.crossed_at.isoformat()}~{last.pk}" if last else ""
    return of(found[:limit]), following


def of(alerts: Sequence[Alert]) -> list[Crossing]:
    """Return alerts with deliveries and acknowledgements, in two queries."""
    told, seen = _messages(alerts), _seen(alerts)
    return [
        Crossing(one, tuple(told.get(str(one.pk), ())), seen.get(str(one.pk))) for one in alerts
    ]


def table(rows: Iterable[Crossing]) -> Table:
    """Return alerts as rows of a file."""
    return Table(
        (
            Column("crossed_at", gettext("Crossed"), Kind.INSTANT),
            Column("budget", gettext("Budget")),
            Column("basis", gettext("Basis")),
            Column("unit", gettext("Unit")),
            Column("threshold", gettext("Threshold"), Kind.MONEY),
            Column("actual_usd", gettext("Actual then (USD)"), Kind.MONEY),
            Column("forecast_usd", gettext("Forecast then (USD)"), Kind.MONEY),
            Column("limit_usd", gettext("Limit then (USD)"), Kind.MONEY),
            Column("period_starts_at", gettext("Period from"), Kind.INSTANT),
            Column("delivered_at", gettext("Delivered"), Kind.INSTANT),
            Column("delivered_to", gettext("Delivered to")),
            Column("acknowledged_at", gettext("Acknowledged"), Kind.INSTANT),
            Column("acknowledged_by", gettext("Acknowledged by")),
        ),
        tuple(
            (
                *(row.alert.crossed_at, row.budget.name, row.alert.basis, row.alert.unit),
                *(row.alert.threshold, row.alert.actual_at, row.alert.forecast),
                *(row.alert.limit_at, row.alert.budget_period.starts_at, row.delivered_at),
                *(", ".join(row.delivered), row.seen.at if row.seen else None),
                str(row.seen.person) if row.seen else "",
            )
            for row in rows
        ),
    )


def _messages(alerts: Sequence[Alert]) -> dict[str, list[Notification]]:
    found: dict[str, list[Notification]] = defaultdict(list)
    if not alerts:
        return found
    rows = Notification.objects.filter(
        topic=Topic.THRESHOLD,
        created_at__gte=min(one.crossed_at for one in alerts),
        payload__alert_id__in=[str(one.pk) for one in alerts],
    ).exclude(recipient="", person=None, place=None)
    for row in rows.select_related("person", "place").order_by("done_at", "pk"):
        found[row.payload["alert_id"]].append(row)
    return found


def _seen(alerts: Sequence[Alert]) -> dict[str, Acknowledgement]:
    subjects = [str(one.pk) for one in alerts]
    rows = Acknowledgement.objects.filter(topic=Topic.THRESHOLD, subject__in=subjects)
    return {row.subject: row for row in rows.select_related("person")}


def _told(row: Notification) -> str:
    name = str(row.place or row.person or row.recipient)
    way = str(ChannelKind(row.channel).label) if row.channel else ""
    return f"{name} ({way})" if way else name


def _before(text: str) -> Q:
    instant, _tilde, row = text.partition("~")
    try:
        at, row_id = datetime.fromisoformat(instant), UUID(row)
    except ValueError as error:
        raise FilterError(f"before: {text[:40]}") from error
    if at.tzinfo is None:
        raise FilterError(f"before: {text[:40]}")
    return Q(crossed_at__lt=at) | Q(crossed_at=at, id__lt=row_id)


def _id(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError as error:
        raise FilterError(f"budget: {text[:40]}") from error
