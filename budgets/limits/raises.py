"""Raises of limits: alone decides whether a second person is asked, and does what that one approved."""

from datetime import datetime
from decimal import Decimal

from django.db.models import F, Sum
from django.db.models.functions import Greatest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import money
from attribution.approvals import decisions
from attribution.approvals.decisions import Kind, OutdatedRequestError, Subject
from attribution.approvals.models import ApprovalRequest, Decision
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.templatetags.tollkeeper import instant_text, rate
from attribution.tenancy import policy
from attribution.tenancy.models import Organization
from budgets.limits import overrides, revisions
from budgets.limits.amounts import BudgetOverride, LimitVersion, VersionKind
from budgets.limits.models import Budget, BudgetPeriod
from budgets.limits.overrides import OverrideError, Terms

LIMIT, OVERRIDE = "budget.limit", "budget.override"
LONGEST_REASON = 256


def set_limit(
    budget: Budget,
    amount: Decimal,
    *,
    at: datetime,
    by: Actor,
    reason: str = "",
    effective_at: datetime | None = None,
) -> ApprovalRequest | None:
    """Set another limit, or ask a second person where the raise is above what the organization allows.

    None: it is set. A request: the limit stays as it is until somebody else approves.
    """
    if not needs_approval(budget, amount, at=at):
        revisions.revise(budget, amount, at=effective_at or at, by=by, reason=reason)
        return None
    before = revisions.limit_of(budget, at=effective_at)
    payload = {
        "budget_id": str(budget.pk),
        "before": "" if before is None else money.text(before),
        "limit": money.text(amount),
        "effective_at": effective_at.isoformat() if effective_at else "",
    }
    return decisions.ask(LIMIT, subject_of(budget), payload=payload, reason=reason, by=by, at=at)


def add_override(
    budget: Budget, terms: Terms, *, at: datetime, by: Actor
) -> ApprovalRequest | None:
    """Raise a limit for a while, or ask a second person where that is above what one may add.

    None: it acts. A request: the override stands there and adds nothing until it is approved.
    Locks: the policy fence first, so that of two who add at once the second one's is counted with
    the first one's.
    """
    policy.changed(required())
    if not is_override_above(budget, terms):
        overrides.grant(budget, terms, at=at, by=by)
        return None
    waiting = overrides.request(budget, terms, at=at, by=by)
    payload = {
        "budget_id": str(budget.pk),
        "override_id": str(waiting.pk),
        "amount": money.text(terms.amount),
        "starts_at": terms.starts_at.isoformat(),
        "ends_at": terms.ends_at.isoformat(),
    }
    subject = Subject(str(waiting.pk), budget.name, budget.approver_id)
    return decisions.ask(OVERRIDE, subject, payload=payload, reason=terms.reason, by=by, at=at)


def is_override_above(budget: Budget, terms: Terms) -> bool:
    """Say whether an override, with those that one person alone added for the same time, is too much."""
    above = allowed()
    if above is None:
        return False
    alone = BudgetOverride.objects.filter(
        budget=budget,
        approved_by=F("requested_by"),
        revoked_at=None,
        starts_at__lt=terms.ends_at,
        ends_at__gt=terms.starts_at,
    ).aggregate(total=Sum("amount"))["total"]
    return terms.amount + (alone or 0) > above


def needs_approval(budget: Budget, amount: Decimal, *, at: datetime) -> bool:
    """Say whether a limit is raised by more than one person may.

    Many small raises count together: each is measured from where the running period began, or from
    what was approved since.
    """
    above = allowed()
    base = None if above is None else base_of(budget, at=at)
    return above is not None and base is not None and amount - base > above


def allowed() -> Decimal | None:
    """Return by how much one person may raise a limit; None: by anything."""
    return Organization.objects.get(pk=required()).raise_needs_approval_above


def base_of(budget: Budget, *, at: datetime) -> Decimal | None:
    """Return the limit with which the running period began, or the one approved and begun since."""
    running = BudgetPeriod.objects.filter(budget=budget, starts_at__lte=at, ends_at__gt=at).first()
    began = running.starts_at if running else at
    approved = ApprovalRequest.objects.filter(
        kind=LIMIT, subject_id=str(budget.pk), decision=Decision.APPROVED, decided_at__gte=began
    ).order_by("-decided_at")
    for request in approved:  # one for a day to come raises nothing yet
        planned = request.payload["effective_at"]
        if not planned or datetime.fromisoformat(planned) <= at:
            return Decimal(request.payload["limit"])
    versions = LimitVersion.objects.filter(budget=budget).exclude(kind=VersionKind.ESTIMATE)
    dated = versions.annotate(since=Greatest("effective_at", "created_at"))
    held = dated.filter(since__lte=began).order_by("-since").first()
    first = held or dated.order_by("since").first()
    return first.amount if first else None


def subject_of(budget: Budget) -> Subject:
    """Return what a request about a budget is about."""
    return Subject(str(budget.pk), budget.name, budget.approver_id)


def told_reason(asked: ApprovalRequest) -> str:
    """Return the reason as it stands beside what was done, with who asked for it."""
    return f"{asked.reason} ({asked.requested_by})".strip()[:LONGEST_REASON]


def running(asked: ApprovalRequest) -> Budget:
    """Return the budget that a request is about; raise when it has ended."""
    budget = Budget.objects.filter(pk=asked.payload["budget_id"], archived_at=None).first()
    if budget is None:
        raise OutdatedRequestError(asked.subject_name)
    return budget


def _apply(asked: ApprovalRequest, by: Actor, at: datetime) -> None:
    planned = asked.payload["effective_at"]
    begins = max(datetime.fromisoformat(planned), at) if planned else at
    revisions.revise(
        running(asked),
        Decimal(asked.payload["limit"]),
        at=begins,
        by=by,
        reason=told_reason(asked),
    )


def _tell(asked: ApprovalRequest) -> list[tuple[str, str]]:
    facts = asked.payload
    planned = facts["effective_at"]
    begins = datetime.fromisoformat(planned) if planned else None
    return [
        (gettext("Limit when it was asked for (USD)"), _shown(facts["before"])),
        (gettext("New limit (USD)"), _shown(facts["limit"])),
        (gettext("From"), instant_text(begins) if begins else gettext("at once")),
    ]


def _shown(amount: str) -> str:
    return str(rate(Decimal(amount))) if amount else ""


def _apply_override(asked: ApprovalRequest, by: Actor, at: datetime) -> None:
    running(asked)
    try:
        overrides.approve(_override(asked), at=at, by=by)
    except OverrideError as error:
        raise OutdatedRequestError(asked.subject_name) from error


def _drop_override(asked: ApprovalRequest, by: Actor, at: datetime) -> None:
    override = _override(asked)
    if override.revoked_at is None and override.ends_at > at:
        overrides.revoke(override, at=at, by=by, reason=asked.note)


def _override(asked: ApprovalRequest) -> BudgetOverride:
    return BudgetOverride.objects.get(pk=asked.payload["override_id"])


def _tell_override(asked: ApprovalRequest) -> list[tuple[str, str]]:
    facts = asked.payload
    starts, ends = (datetime.fromisoformat(facts[name]) for name in ("starts_at", "ends_at"))
    return [
        (gettext("Added to the limit (USD)"), _shown(facts["amount"])),
        (gettext("From"), instant_text(starts)),
        (gettext("Until"), instant_text(ends)),
    ]


KINDS = {
    LIMIT: Kind(_("another limit"), _tell, _apply),
    OVERRIDE: Kind(_("more for a while"), _tell_override, _apply_override, _drop_override),
}
