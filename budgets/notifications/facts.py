"""The figures of an event as they were, written into the payload of everybody's message."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse

from attribution import money
from attribution.insights.causes import PARTS
from attribution.insights.models import Anomaly
from attribution.tenancy.models import Membership, User
from budgets.alerts.models import Alert
from budgets.channels.models import Channel, Topic
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget, BudgetPeriod
from budgets.notifications import audience
from budgets.notifications.models import Notification

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What is told, to whom, and whether calls are refused because of it."""

    payload: Payload
    people: list[Membership]
    places: list[Channel]
    is_hard: bool = False


def story(event: Notification) -> Story | None:
    """Return what an event tells; None when what it is about is gone."""
    tell = STORIES.get(event.topic)
    told = tell(event) if tell else None
    if told is None:
        return None
    about = {"subject": event.dedupe_key, "at": written(event.created_at)}
    return replace(told, payload=about | told.payload)


def written(value: Decimal | datetime | date | UUID | None) -> str | None:
    """Write a value as JSON keeps it: exact."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return money.text(value)
    return str(value) if isinstance(value, UUID) else value.isoformat()


def about_period(period: BudgetPeriod) -> Payload:
    """Return what every message about a budget period tells."""
    budget = period.budget
    return {
        "budget": {"id": str(budget.pk), "name": budget.name, "scope": budget.scope},
        "period": {
            "kind": budget.period,
            "starts_at": written(period.starts_at),
            "ends_at": written(period.ends_at),
            "time_zone": budget.time_zone,
        },
        "enforcement": period.enforcement,
        "is_hard": bool(period.hard),
        "path": reverse("budgets:budget-show", args=[budget.pk]),
    }


def _threshold(event: Notification) -> Story | None:
    alerts = Alert.objects.select_related("budget_period__budget")
    alert = alerts.filter(pk=event.payload["alert_id"]).first()
    if alert is None:
        return None
    figures: Payload = {
        "alert_id": str(alert.pk),
        "basis": alert.basis,
        "unit": alert.unit,
        "threshold": written(alert.threshold),
        "hours": alert.hours,
        "limit": written(alert.limit_at),
        "actual": written(alert.actual_at),
        "forecast": written(alert.forecast),
        "burn_factor": written(alert.burn_factor),
        "data_through_on": written(alert.data_through_on),
        "at": written(alert.crossed_at),
    }
    is_full = alert.actual_at >= alert.limit_at
    return _of_period(
        event, alert.budget_period, figures, is_hard=is_full and bool(alert.budget_period.hard)
    )


def _standing(event: Notification) -> Story | None:
    """Tell how a period stands: below its thresholds again, or without calls."""
    periods = BudgetPeriod.objects.select_related("budget")
    period = periods.filter(pk=event.payload["period_id"]).first()
    return _of_period(event, period, dict(event.payload)) if period else None


def _of_period(
    event: Notification, period: BudgetPeriod, figures: Payload, *, is_hard: bool = False
) -> Story:
    covered = audience.departments_of(period.budget)
    return Story(
        about_period(period) | figures,
        audience.of_budget(period.budget, covered),
        audience.channels(event.topic, covered),
        is_hard,
    )


def _override(event: Notification) -> Story | None:
    overrides = BudgetOverride.objects.select_related("budget", "requested_by", "approved_by")
    found = overrides.filter(pk=event.payload["override_id"]).first()
    if found is None:
        return None
    figures = {
        "budget": {"id": str(found.budget.pk), "name": found.budget.name},
        "amount": written(found.amount),
        "starts_at": written(found.starts_at),
        "ends_at": written(found.ends_at),
        "reason": found.reason,
        "requested_by": _named(found.requested_by),
        "approved_by": _named(found.approved_by),
        "path": reverse("budgets:budget-show", args=[found.budget.pk]),
    }
    return _of_budget(event, found.budget, figures)


def _of_budget(event: Notification, budget: Budget, figures: Payload) -> Story:
    covered = audience.departments_of(budget)
    people = audience.of_budget(budget, covered)
    return Story(figures, people, audience.channels(event.topic, covered))


def _anomaly(event: Notification) -> Story | None:
    found = Anomaly.objects.select_related("cost_center").filter(pk=event.payload["anomaly_id"])
    anomaly = found.first()
    if anomaly is None:
        return None
    center = anomaly.cost_center
    figures = {
        "anomaly_id": str(anomaly.pk),
        "cost_center": center.code if center else "",
        "model": anomaly.model,
        "api_key": anomaly.api_key_name,
        "starts_at": written(anomaly.starts_at),
        "ends_at": written(anomaly.ends_at),
        "impact": written(anomaly.impact),
        "actual": written(anomaly.actual),
        "expected": written(anomaly.expected),
        "reason": {part: anomaly.reason.get(part) for part in PARTS},
        "named": anomaly.reason.get("named", []),
        "at": written(anomaly.found_at),
        "path": reverse("attribution:anomaly-show", args=[anomaly.pk]),
    }
    covered = audience.upwards(center.department_id if center else None)
    people = audience.of_cost_center(center, covered)
    return Story(figures, people, audience.channels(event.topic, covered))


def _test(event: Notification) -> Story | None:
    place = Channel.objects.filter(pk=event.payload["channel_id"]).first()
    if place is None:
        return None
    path = reverse("budgets:channel-list")
    return Story(event.payload | {"channel": place.name, "path": path}, [], [place])


def _named(person: User | None) -> str:
    return str(person) if person else ""


STORIES: dict[str, Callable[[Notification], Story | None]] = {
    Topic.THRESHOLD: _threshold,
    Topic.RECOVERED: _standing,
    Topic.NO_DATA: _standing,
    Topic.OVERRIDE_GRANTED: _override,
    Topic.OVERRIDE_EXPIRING: _override,
    Topic.ANOMALY: _anomaly,
    Topic.TEST: _test,
}
