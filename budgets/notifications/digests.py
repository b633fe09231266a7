"""Summaries: what a person's budgets and departments did in a day, a week or a month, once each."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Sum
from django.urls import reverse

from attribution.isolation.transaction import required
from attribution.ledger.models import Facet
from attribution.reports import spend
from attribution.reports.filters import Filters, Range
from attribution.tenancy import access
from attribution.tenancy.models import CostCenter, Department, Membership, Organization, Role
from budgets.alerts.models import Alert
from budgets.channels.models import ChannelKind, Topic
from budgets.forecasts import outlooks
from budgets.limits.models import Budget
from budgets.notifications import audience, spans
from budgets.notifications.facts import Payload, written
from budgets.notifications.models import DigestChoice, Notification, Subscription
from budgets.notifications.spans import Span

ZERO = Decimal(0)
TICK = timedelta(microseconds=1)
MOVERS, ALERTS = 5, 20
OFFICE = {Role.OWNER, Role.FINANCE, Role.AUDITOR, Role.MANAGER}

Sums = dict[UUID | None, Decimal]


def owe(at: datetime) -> int:
    """Owe every summary of the organization being served that is due; return how many are new.

    Exactly once per person and span: the row is unique, whoever makes it. Somebody who chose a
    summary just now gets the next one.
    """
    zone = ZoneInfo(Organization.objects.get(pk=required()).time_zone)
    chosen = Subscription.objects.exclude(digest=DigestChoice.NONE)
    members = {one.user_id: one for one in _members([row.person_id for row in chosen])}
    owed = []
    for row in chosen:
        span = spans.newest(row.digest, hour=row.digest_hour, at=at, zone=zone)
        person = members.get(row.person_id)
        if person and span.due_at >= row.changed_at and not _is_known(span, person):
            owed.append(_summary(span, person, zone, at))
    Notification.objects.bulk_create(owed, ignore_conflicts=True)
    return len(owed)


def figures(span: Span, person: Membership, zone: ZoneInfo, *, at: datetime) -> Payload:
    """Return what a summary tells this person."""
    centers = _centers(person)
    within = None if centers is None else tuple(centers)
    now = _spent(span.range(zone), within)
    before = _spent(span.before(zone), within)
    budgets = _budgets(person)
    return {
        "organization": Organization.objects.get(pk=required()).name,
        "subject": span.key,
        "kind": span.kind,
        "first": written(span.first),
        "last": written(span.last),
        "spent": written(sum(now.values(), ZERO)),
        "spent_before": written(sum(before.values(), ZERO)),
        "budgets": _standings(budgets, span, zone, at),
        "departments": _departments(now, before),
        "movers": _movers(now, before),
        "alerts": _alerts(budgets, span, zone),
        "at": written(at),
        "path": reverse("budgets:overview-show"),
    }


def _summary(span: Span, person: Membership, zone: ZoneInfo, at: datetime) -> Notification:
    return Notification(
        topic=Topic.DIGEST,
        dedupe_key=f"{span.key}:{person.user_id}",
        recipient=person.user.email,
        channel=ChannelKind.EMAIL,
        person=person.user,
        payload=figures(span, person, zone, at=at),
        created_at=at,
    )


def _members(person_ids: Iterable[UUID]) -> list[Membership]:
    active = Membership.objects.filter(is_active=True, user__is_active=True)
    return list(active.filter(user_id__in=list(person_ids)).select_related("user"))


def _is_known(span: Span, person: Membership) -> bool:
    key = f"{span.key}:{person.user_id}"
    return Notification.objects.filter(topic=Topic.DIGEST, dedupe_key=key).exists()


def _centers(person: Membership) -> list[UUID] | None:
    """Return the cost centers a person looks at; None for all of them."""
    rows = CostCenter.objects.all()
    if person.department_id is not None:
        inside = rows.filter(department_id__in=access.subtree(person.department_id))
        return list(inside.values_list("pk", flat=True))
    if person.role in OFFICE:
        return None
    return list(rows.filter(owner_id=person.user_id).values_list("pk", flat=True))


def _budgets(person: Membership) -> list[Budget]:
    """Return the budgets a person is told of."""
    found = Budget.objects.filter(archived_at=None).order_by("name")
    if person.role in OFFICE and person.department_id is None:
        return list(found)
    return [one for one in found if _is_told(person, one)]


def _is_told(person: Membership, budget: Budget) -> bool:
    if budget.owner_id == person.user_id:
        return True
    return person.role in OFFICE and person.department_id in audience.departments_of(budget)


def _spent(days: Range, within: tuple[UUID, ...] | None) -> Sums:
    rows = spend.rows(Filters(days, within=within), Facet.MODEL).values("cost_center_id")
    return {row["cost_center_id"]: row["cost"] for row in rows.annotate(cost=Sum("usd_amount"))}


def _standings(budgets: list[Budget], span: Span, zone: ZoneInfo, at: datetime) -> list[Payload]:
    """Return how budgets stand in the period that the span ends in; a forecast of running ones."""
    found = outlooks.of([one.pk for one in budgets], at=span.range(zone).ends_at - TICK)
    return [
        {
            "name": one.name,
            "limit": written(ahead.standing.limit),
            "actual": written(ahead.standing.actual),
            "held": written(ahead.standing.held),
            "forecast": written(ahead.p50) if ahead.standing.ends_at > at else None,
        }
        for one in budgets
        if (ahead := found.get(one.pk)) is not None
    ]


def _departments(now: Sums, before: Sums) -> list[Payload]:
    names = dict(Department.objects.values_list("pk", "name"))
    homes = dict(CostCenter.objects.values_list("pk", "department_id"))
    return _compared(
        _grouped(now, homes), _grouped(before, homes), {key: names[key] for key in names}
    )


def _grouped(sums: Sums, homes: Mapping[UUID, UUID | None]) -> Sums:
    grouped: Sums = {}
    for center, amount in sums.items():
        home = homes.get(center) if center else None
        grouped[home] = grouped.get(home, ZERO) + amount
    return grouped


def _movers(now: Sums, before: Sums) -> list[Payload]:
    codes = dict(CostCenter.objects.values_list("pk", "code"))
    moved = _compared(now, before, codes)
    moved.sort(key=lambda row: -abs(Decimal(row["spent"]) - Decimal(row["before"])))
    return [row for row in moved if row["spent"] != row["before"]][:MOVERS]


def _compared(now: Sums, before: Sums, names: dict[UUID, str]) -> list[Payload]:
    """Return amounts beside those of the span before, the largest first."""
    keys = sorted({*now, *before}, key=lambda key: (-now.get(key, ZERO), str(key)))
    return [
        {
            "name": names.get(key, "") if key else "",
            "spent": written(now.get(key, ZERO)),
            "before": written(before.get(key, ZERO)),
        }
        for key in keys
    ]


def _alerts(budgets: list[Budget], span: Span, zone: ZoneInfo) -> list[Payload]:
    days = span.range(zone)
    found = Alert.objects.filter(
        crossed_at__gte=days.starts_at,
        crossed_at__lt=days.ends_at,
        budget_period__budget_id__in=[one.pk for one in budgets],
    )
    rows = found.select_related("budget_period__budget").order_by("-crossed_at")[:ALERTS]
    return [
        {
            "budget": row.budget_period.budget.name,
            "unit": row.unit,
            "threshold": written(row.threshold),
            "crossed_at": written(row.crossed_at),
        }
        for row in rows
    ]
