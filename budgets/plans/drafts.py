"""Plans between preview and books: kept as they were shown, applied once, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from attribution.approvals.decisions import AlreadyWaitingError
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from budgets.limits import raises, revisions
from budgets.limits.models import Budget, Threshold
from budgets.plans import points, steps
from budgets.plans.facts import Known, covered_id, fill
from budgets.plans.fields import BY_NAME
from budgets.plans.models import BudgetPlan, PlanKind
from budgets.plans.steps import Action, Step

CREATE = Action.CREATE
SEPARATE = frozenset({"limit_usd", "thresholds"})


class PlanError(ValueError):
    """A plan that cannot be applied."""

    code = "plan_refused"


class AppliedError(PlanError):
    """It was applied before; nothing is done twice."""

    code = "plan_applied"


class FaultyError(PlanError):
    """It has rows that cannot be taken."""

    code = "plan_faulty"


class WaitingError(PlanError):
    """A raise of a budget in it waits for a second person already."""

    code = "raise_waiting"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it was in the preview."""

    name: str
    column: str
    was: str
    now: str


class ChangedError(PlanError):
    """Budgets are not as they were in the preview; says which, and what."""

    code = "plan_outdated"

    def __init__(self, differences: list[Difference]) -> None:
        super().__init__(", ".join(one.name for one in differences))
        self.differences = differences


@dataclass(frozen=True, slots=True)
class Applied:
    """What a plan did."""

    created: int
    revised: int
    asked: int


def keep(
    kind: PlanKind, planned: Iterable[Step], *, by: Actor, at: datetime, source: str, reason: str
) -> BudgetPlan:
    """Keep a plan as it is previewed; nothing else is written."""
    return BudgetPlan.objects.create(
        kind=kind,
        source=source[:200],
        reason=reason,
        steps=[step.as_dict() for step in planned],
        made_by_id=by.id or "",
        made_at=at,
    )


def steps_of(plan: BudgetPlan) -> list[Step]:
    """Return what a plan does, row by row."""
    return [Step.from_dict(kept) for kept in plan.steps]


def apply(plan: BudgetPlan, names: Known, *, by: Actor, at: datetime) -> Applied:
    """Do exactly what was previewed, all of it or nothing, in the caller's transaction.

    Locks: calls wait only from where budgets that run are looked at again, changed, and new ones
    begin to cover; the new ones are written before that.
    """
    row = BudgetPlan.objects.select_for_update().get(pk=plan.pk)
    planned = steps_of(row)
    if row.applied_at is not None:
        raise AppliedError(str(row))
    if any(step.action is Action.ERROR for step in planned):
        raise FaultyError(str(row))
    _check(planned, names)
    drafted = [_draft(step, names, row, (by, at)) for step in planned if step.action is CREATE]
    policy.changed(required())
    budgets = _check([step for step in planned if step.before is not None], names)
    revisions.cover(drafted, at=at)  # locks open calls; what follows locks periods, as settles do
    done = _apply_all(row, planned, budgets, names, (by, at))
    row.applied_by_id, row.applied_at = by.id, at
    row.save(update_fields=["applied_by", "applied_at"])
    after = {"source": row.source, "reason": row.reason}
    counts = {name: str(getattr(done, name)) for name in ("created", "revised", "asked")}
    trail.append("budgetplan.applied", by=by, on=row, after={**after, **counts})
    return done


def _check(planned: Sequence[Step], names: Known) -> dict[str, Budget]:
    """Return the budgets that the steps are about; raise if they are not as the plan was made for."""
    found = steps.current([step.name for step in planned], names)
    facts = {name: told for name, (_budget, told) in found.items()}
    if changed := _differences(planned, facts, names):
        raise ChangedError(changed)
    return {name: budget for name, (budget, _told) in found.items()}


def _differences(
    planned: Iterable[Step], now: dict[str, dict[str, str]], names: Known
) -> list[Difference]:
    """Return what is not as the plan was made for."""
    found: list[Difference] = []
    for step in planned:
        facts = now.get(step.name)
        if (facts is None) != (step.before is None):
            told = ["", step.name] if facts else [step.name, ""]
            found.append(Difference(step.name, "name", *told))
        elif facts is not None and step.before is not None:
            found += [
                Difference(step.name, column, step.before[column], facts[column])
                for column in BY_NAME
                if step.before[column] != facts[column]
            ]
        found += _vanished(step, names)
    return found


def _vanished(step: Step, names: Known) -> list[Difference]:
    """Return what a row names that is not there any more."""
    facts = step.after
    is_named = facts["covers"] not in {"organization", "user"}
    is_lost = step.before is None and is_named and covered_id(facts, names) is None
    lost = ["covered"] if is_lost else []
    was = step.before or {}
    people = ("owner", "approver")
    lost += [
        one
        for one in people
        if facts[one] and facts[one] != was.get(one) and facts[one] not in names.people
    ]
    return [Difference(step.name, column, facts[column], "") for column in lost]


def _apply_all(
    plan: BudgetPlan,
    planned: Sequence[Step],
    budgets: dict[str, Budget],
    names: Known,
    who: tuple[Actor, datetime],
) -> Applied:
    created = revised = asked = 0
    revisions.relimit_all(budgets[s.name] for s in planned if s.action is Action.REVISE)
    for step in planned:
        reason = step.reason or plan.reason
        if step.action is CREATE:
            created += 1
        elif step.action is Action.REVISE:
            asked += _revise(step, budgets[step.name], names, reason, who)
            revised += 1
    return Applied(created, revised, asked)


def _draft(step: Step, names: Known, plan: BudgetPlan, who: tuple[Actor, datetime]) -> Budget:
    by, at = who
    budget = Budget()
    fill(budget, step.after, names)
    told = points.read(step.after["thresholds"])
    revisions.draft(
        budget,
        amount=Decimal(step.after["limit_usd"]),
        at=at,
        by=by,
        reason=step.reason or plan.reason,
        thresholds=[point.threshold() for point in told],
    )
    return budget


def _revise(
    step: Step, budget: Budget, names: Known, reason: str, who: tuple[Actor, datetime]
) -> bool:
    """Change what the row changes; say whether its limit waits for a second person."""
    by, at = who
    changed = {name for name, _before, _after in step.changed}
    if changed - SEPARATE:
        fill(budget, step.after, names)
        revisions.change(budget, by=by)
    if "thresholds" in changed:
        _retell(step, budget, by)
    if "limit_usd" not in changed:
        return False
    begins = datetime.fromisoformat(step.begins_at) if step.begins_at else None
    try:
        asked = raises.set_limit(
            budget,
            Decimal(step.after["limit_usd"]),
            at=at,
            by=by,
            reason=reason,
            effective_at=max(begins, at) if begins else None,
        )
    except AlreadyWaitingError as error:
        raise WaitingError(budget.name) from error
    return asked is not None


def _retell(step: Step, budget: Budget, by: Actor) -> None:
    """Replace the thresholds that differ; one that has been passed already tells people now."""
    wanted = set(points.read(step.after["thresholds"]))
    held = {points.point_of(row): row for row in Threshold.objects.filter(budget=budget)}
    for point, row in held.items():
        if point not in wanted:
            row.delete()
    for point in sorted(wanted - held.keys(), key=str):
        row = point.threshold()
        row.budget = budget
        row.save(force_insert=True)
    before = {"thresholds": (step.before or {}).get("thresholds", "")}
    after = {"thresholds": step.after["thresholds"]}
    trail.append("budget.thresholds_changed", by=by, on=budget, before=before, after=after)
    revisions.relimit(budget)
