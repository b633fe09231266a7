"""Budgets come into being, change and end here; alone may open periods and set limits."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Greatest, Now

from attribution import calendar
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from attribution.tenancy.models import Organization
from budgets.limits import filters, periods
from budgets.limits.amounts import LimitVersion, VersionKind
from budgets.limits.models import Budget, BudgetPeriod, PeriodKind, Threshold
from budgets.limits.periods import (
    PeriodSpec,
    Window,
    joined,
    next_window,
    window_at,
    year_start,
)

AHEAD = timedelta(hours=48)
SKEW = timedelta(minutes=1)  # by how much the clock of whoever sets a limit may be ahead
CHANGEABLE = [
    *("name", "enforcement", "wait_ms", "is_clamped", "owner", "approver"),
    *("rollover", "rollover_cap", "rollover_cap_unit"),
]


def create(
    budget: Budget,
    *,
    amount: Decimal,
    at: datetime,
    by: Actor,
    reason: str = "",
    thresholds: Iterable[Threshold] = (),
) -> Budget:
    """Create a budget with its first limit and periods; what its window has cost is counted in."""
    draft(budget, amount=amount, at=at, by=by, reason=reason, thresholds=thresholds)
    cover([budget], at=at)
    return budget


def draft(
    budget: Budget,
    *,
    amount: Decimal,
    at: datetime,
    by: Actor,
    reason: str = "",
    thresholds: Iterable[Threshold] = (),
) -> None:
    """Write a budget that covers nothing yet; calls do not wait for it. `cover` follows."""
    budget.filters = filters.checked(budget.filters)
    budget.save(force_insert=True)
    _add_version(budget, amount, kind=VersionKind.ORIGINAL, at=at, by=by, reason=reason)
    for threshold in thresholds:
        threshold.budget = budget
        threshold.save(force_insert=True)
    after = {**trail.snapshot(budget), "limit": f"{amount:f}", "reason": reason}
    trail.append("budget.created", by=by, on=budget, after=after)


def cover(budgets: Iterable[Budget], *, at: datetime) -> None:
    """Open the periods of drafted budgets; what their windows have cost is counted in.

    Locks: the policy fence, so that no call is admitted between counting and covering.
    """
    policy.changed(required())
    served = organization()
    _open_all([(b, w) for b in budgets for w in windows(spec_of(b, served), at)], at)


def revise(budget: Budget, amount: Decimal, *, at: datetime, by: Actor, reason: str = "") -> None:
    """Set another limit from `at` on; the next admission already meets it, raised or lowered.

    An instant to come plans it: next year's limit, that takes the place of the present one on its day.
    """
    before = limit_of(budget, at=at)
    if before == amount:
        return
    version = _add_version(budget, amount, kind=VersionKind.REVISED, at=at, by=by, reason=reason)
    relimit(budget)
    verb = "raised" if before is None or amount > before else "lowered"
    facts = {"limit": f"{amount.normalize():f}", "reason": reason}
    if at > version.created_at + SKEW:
        facts["from"] = at.isoformat()
    was = {"limit": None if before is None else f"{before.normalize():f}"}
    trail.append(f"budget.limit_{verb}", by=by, on=budget, before=was, after=facts)


def estimate(budget: Budget, amount: Decimal, *, at: datetime, by: Actor, reason: str = "") -> None:
    """Note what the budget is now expected to need; no limit moves."""
    newest = LimitVersion.objects.filter(budget=budget, kind=VersionKind.ESTIMATE)
    before = newest.order_by("-created_at").first()
    _add_version(budget, amount, kind=VersionKind.ESTIMATE, at=at, by=by, reason=reason)
    trail.append(
        "budget.estimated",
        by=by,
        on=budget,
        before={"estimate": f"{before.amount.normalize():f}" if before else None},
        after={"estimate": f"{amount.normalize():f}", "reason": reason},
    )


def change(budget: Budget, *, by: Actor) -> None:
    """Save what may change in place (names of people, enforcement, rollover …), in force at once.

    What a budget covers and how it cuts time never changes: its periods counted by that.
    """
    policy.changed(required())
    before = trail.snapshot(Budget.objects.get(pk=budget.pk))
    budget.save(update_fields=CHANGEABLE)
    relimit(budget)
    after = trail.snapshot(budget)
    if before != after:
        trail.append("budget.changed", by=by, on=budget, before=before, after=after)


def archive(budget: Budget, *, at: datetime, by: Actor) -> None:
    """End a budget: it limits nothing any more, and its history stays."""
    policy.changed(required())
    before = trail.snapshot(budget)
    budget.archived_at = at
    budget.save(update_fields=["archived_at"])
    trail.append("budget.archived", by=by, on=budget, before=before, after=trail.snapshot(budget))


def ensure_periods(at: datetime) -> int:
    """Open the missing periods of the organization's budgets for the next 48 hours; return how many.

    A period that should have begun already is opened behind the fence, its calls counted in.
    """
    served = organization()
    newest = BudgetPeriod.objects.filter(budget=OuterRef("pk")).order_by("-starts_at")
    budgets = Budget.objects.filter(archived_at=None).order_by("pk")
    missing = [
        (budget, window)
        for budget in budgets.annotate(opened_until=Subquery(newest.values("ends_at")[:1]))
        for window in _missing(spec_of(budget, served), at, last=budget.opened_until)
    ]
    if any(window.starts_at <= at for _, window in missing):
        policy.changed(served.pk)
    _open_all(missing, at)
    return len(missing)


def _open_all(wanted: Iterable[tuple[Budget, Window]], at: datetime) -> None:
    """Open periods, the one that began first before the others.

    Each locks the open calls of its window from the oldest on; in another order one that is
    counted into a month, then into its year, would cross a settle that holds both.
    """
    for budget, window in sorted(wanted, key=lambda pair: pair[1].starts_at):
        open_period(budget, window, is_backfilled=window.starts_at <= at)


def relimit(budget: Budget) -> int:
    """Give running and coming periods the newest limit and the enforcement; return how many."""
    return int(_call("budgets_relimit", {"budget_id": str(budget.pk)}))


def relimit_all(budgets: Iterable[Budget]) -> int:
    """Do so for many; before they change one by one, so that settles that hold some are waited for in order."""
    ids = [str(budget.pk) for budget in budgets]
    return int(_call("budgets_relimit", {"budget_ids": ids})) if ids else 0


def follow() -> int:
    """Work out anew the limits whose time has come: overrides that began or ended, money carried over.

    Admissions do the same for the periods they meet; this is for those that nobody calls.
    """
    return int(_call("budgets_relimit", {}))


def open_period(budget: Budget, window: Window, *, is_backfilled: bool) -> int | None:
    """Open one period, or find it; the caller holds the fence when it is backfilled.

    None for a budget that limits nothing any more.
    """
    question = {
        "budget_id": str(budget.pk),
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
        "year_starts_at": year_start(spec_of(budget, organization()), window).isoformat(),
        "backfill": is_backfilled,
    }
    period = _call("budgets_period", question)
    return None if period is None else int(period)


def move_periods(budget: Budget, changes: Iterable[tuple[int, Window, datetime]]) -> int:
    """Give periods that have not begun other bounds and fiscal years; return how many, all or none."""
    windows = [
        {
            "id": period_id,
            "starts_at": window.starts_at.isoformat(),
            "ends_at": window.ends_at.isoformat(),
            "year_starts_at": began.isoformat(),
        }
        for period_id, window, began in changes
    ]
    return int(_call("budgets_reshape", {"budget_id": str(budget.pk), "windows": windows}))


def limit_of(budget: Budget, *, at: datetime | None = None) -> Decimal | None:
    """Return the amount of the limit version in force now, or at an instant to come."""
    versions = LimitVersion.objects.filter(budget=budget).exclude(kind=VersionKind.ESTIMATE)
    found = in_force(versions, at=at).last() or versions.order_by("effective_at").first()
    return found.amount if found else None


def in_force(
    versions: QuerySet[LimitVersion], *, at: datetime | None = None
) -> QuerySet[LimitVersion]:
    """Return those of some versions that count; the last of a budget is the one that limits.

    As budgets_reckon sees it: a version counts from when it was set, a planned one from its day.
    """
    is_due = Q(effective_at__lte=Now() if at is None else at)
    is_set = Q(effective_at__lte=F("created_at") + SKEW)
    return versions.filter(is_due | is_set).order_by(Greatest("effective_at", "created_at"))


def windows(spec: PeriodSpec, at: datetime) -> list[Window]:
    """Return the window that holds `at` and those that begin within 48 hours; a custom one ahead."""
    instant = at
    if spec.kind == PeriodKind.CUSTOM and spec.starts_on is not None:
        instant = max(at, calendar.day_start(spec.starts_on, spec.zone))
    found: list[Window] = []
    window = window_at(spec, instant)
    while window is not None and (not found or window.starts_at < at + AHEAD):
        found.append(window)
        window = next_window(spec, window)
    return found


def spec_of(budget: Budget, organization: Organization) -> PeriodSpec:
    """Return how a budget cuts time, in its own zone or its organization's."""
    return periods.spec_of(
        budget.period,
        budget.calendar,
        zone=budget.time_zone or organization.time_zone,
        fiscal_start_month=organization.fiscal_start_month,
    )


def _missing(spec: PeriodSpec, at: datetime, *, last: datetime | None) -> list[Window]:
    """Return the windows to open for the next 48 hours, after the one opened last."""
    if last is None:
        return windows(spec, at)
    if spec.kind == PeriodKind.CUSTOM:
        return []  # its one window was opened with it
    found: list[Window] = []
    begins = max(last, at)
    while last < at + AHEAD and (window := joined(spec, begins, last=last)):
        found.append(window)
        begins = last = window.ends_at
    return found


def _add_version(
    budget: Budget, amount: Decimal, *, kind: VersionKind, at: datetime, by: Actor, reason: str
) -> LimitVersion:
    return LimitVersion.objects.create(
        budget=budget,
        kind=kind,
        amount=amount,
        effective_at=at,
        set_by_id=by.id if by.kind == "user" else None,
        reason=reason,
    )


def organization() -> Organization:
    """Return the organization being served."""
    return Organization.objects.get(pk=required())


def _call(function: str, argument: Mapping[str, object]) -> Any:
    statement = {
        "budgets_relimit": "SELECT budgets_relimit(%s::jsonb)",
        "budgets_period": "SELECT budgets_period(%s::jsonb)",
        "budgets_reshape": "SELECT budgets_reshape(%s::jsonb)",
    }[function]
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps({"organization_id": str(required()), **argument})])
        (answer,) = cursor.fetchone()
    return answer
