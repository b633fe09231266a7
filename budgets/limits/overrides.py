"""Overrides: money added to a limit for a while, who asked for it, who allowed it, when it ended."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet

from attribution import money
from attribution.audit import trail
from attribution.audit.trail import Actor
from budgets.limits import revisions
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget

LONGEST_REASON = 256


class OverrideError(ValueError):
    """An override that cannot be: no length or reason, over, adds nothing, decided already."""

    code = "invalid_override"


@dataclass(frozen=True, slots=True)
class Terms:
    """How much is added to a limit, from when to before when, and why."""

    amount: Decimal
    starts_at: datetime
    ends_at: datetime
    reason: str


def request(budget: Budget, terms: Terms, *, at: datetime, by: Actor) -> BudgetOverride:
    """Ask for an override; it adds nothing before somebody approves it."""
    if terms.amount <= 0 or terms.starts_at >= terms.ends_at or terms.ends_at <= at:
        raise OverrideError("an override adds an amount from an instant to a later one to come")
    if budget.archived_at is not None:
        raise OverrideError("the budget has ended")
    if not 0 < len(terms.reason.strip()) <= LONGEST_REASON:
        raise OverrideError(f"an override has a reason of 1 to {LONGEST_REASON} characters")
    asked = BudgetOverride.objects.create(
        budget=budget,
        amount=terms.amount,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        reason=terms.reason,
        requested_by_id=_person(by),
        created_at=at,
    )
    trail.append("budget.override_requested", by=by, on=budget, after=_facts(asked))
    return asked


def approve(override: BudgetOverride, *, at: datetime, by: Actor) -> None:
    """Let an override act, from its start or at once; thresholds fire anew when it begins."""
    found = _locked(override)
    if found.approved_at or found.revoked_at or found.ends_at <= at:
        raise OverrideError("the override is approved, revoked or over already")
    found.approved_at, found.approved_by_id = at, _person(by)
    found.save(update_fields=["approved_at", "approved_by"])
    trail.append("budget.override_granted", by=by, on=found.budget, after=_facts(found))
    revisions.relimit(found.budget)


def grant(budget: Budget, terms: Terms, *, at: datetime, by: Actor) -> BudgetOverride:
    """Raise a limit for a while, where one person may."""
    override = request(budget, terms, at=at, by=by)
    approve(override, at=at, by=by)
    return override


def revoke(override: BudgetOverride, *, at: datetime, by: Actor, reason: str = "") -> None:
    """End an override before its time, or decline one that was asked for; the next call meets it."""
    found = _locked(override)
    if found.revoked_at or found.ends_at <= at:
        raise OverrideError("the override is revoked or over already")
    found.revoked_at = at
    found.save(update_fields=["revoked_at"])
    verb = "revoked" if found.approved_at else "declined"
    after = {"override": str(found.pk), "reason": reason}
    trail.append(f"budget.override_{verb}", by=by, on=found.budget, after=after)
    revisions.relimit(found.budget)


def follow(at: datetime) -> int:
    """Write down the overrides that have ended, and work out the limits whose time has come.

    Returns how many ended. Admissions drop an expired override by themselves, to the instant: this
    is for periods that nobody calls, and for the audit trail.
    """
    revisions.follow()
    ended = BudgetOverride.objects.filter(
        approved_at__isnull=False, revoked_at=None, expired_at=None, ends_at__lte=at
    )
    found = list(
        ended.select_for_update(skip_locked=True, of=("self",))
        .select_related("budget")
        .order_by("pk")
    )
    for override in found:
        override.expired_at = at
        override.save(update_fields=["expired_at"])
        trail.append(
            "budget.override_expired", by=trail.SYSTEM, on=override.budget, after=_facts(override)
        )
    return len(found)


def running(at: datetime) -> QuerySet[BudgetOverride]:
    """Return the overrides that add to a limit at an instant."""
    return BudgetOverride.objects.filter(
        approved_at__isnull=False, revoked_at=None, starts_at__lte=at, ends_at__gt=at
    )


def _locked(override: BudgetOverride) -> BudgetOverride:
    rows = BudgetOverride.objects.select_for_update(of=("self",)).select_related("budget")
    return rows.get(pk=override.pk)


def _facts(override: BudgetOverride) -> dict[str, str | None]:
    return {
        "override": str(override.pk),
        "amount": money.text(override.amount),
        "from": override.starts_at.isoformat(),
        "until": override.ends_at.isoformat(),
        "reason": override.reason,
        "requested_by": str(override.requested_by_id or ""),
        "approved_by": str(override.approved_by_id or ""),
    }


def _person(by: Actor) -> UUID | None:
    return by.id if by.kind == "user" else None
