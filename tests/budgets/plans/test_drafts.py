"""A plan is applied once, as it was shown, all of it or nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from attribution.approvals.models import ApprovalRequest
from attribution.audit import trail
from attribution.audit.models import AuditEntry
from attribution.tenancy.models import Organization
from budgets.limits import revisions, standing
from budgets.limits.models import Budget, Threshold
from budgets.plans import drafts
from budgets.plans.drafts import Applied, AppliedError, ChangedError, FaultyError
from budgets.plans.steps import Action
from tests.budgets.plans.planning import applied, budget, drafted, finance, names, previewed
from tests.cast import Cast
from tests.factories import make_budget

NEW: dict[str, str | Decimal] = {
    "name": "Marketing 2027",
    "covers": "cost_center",
    "covered": "OURS-CC",
    "limit_usd": "1500",
    "enforcement": "block",
    "thresholds": "80%; forecast 100%",
    "wait_ms": Decimal(500),
    "shorten": "yes",
    "carry": "carry_unused",
    "carry_at_most": "10%",
    "models": "gpt-5; claude-4",
    "reason": "decided in May",
}


def test_a_created_budget_is_all_that_its_row_says(here: Cast) -> None:
    address = here.person("manager").email

    done = applied(here, {**NEW, "owner": address.upper(), "approver": address})

    made = budget("Marketing 2027")
    now = standing.current(made, at=timezone.now())
    assert done == Applied(created=1, revised=0, asked=0)
    assert made.scope_id == here.cost_center.pk
    assert (made.enforcement, made.wait_ms, made.is_clamped) == ("block", 500, True)
    assert (made.rollover, made.rollover_cap) == ("carry_unused", Decimal(10))
    assert made.filters == {"models": ["claude-4", "gpt-5"]}
    assert made.owner == made.approver == here.person("manager")
    assert now is not None
    assert now.limit == Decimal(1500)
    assert Threshold.objects.filter(budget=made).count() == 2
    assert "budget.created" in {entry.action for entry in trail.history(made)}


def test_a_revised_budget_changes_what_differs(here: Cast) -> None:
    make_budget(name="Marketing", limit="100", thresholds=["80"])

    applied(
        here,
        {"name": "Marketing", "limit_usd": "250", "thresholds": "90%", "enforcement": "warn"},
    )

    made = budget("Marketing")
    assert (revisions.limit_of(made), made.enforcement) == (Decimal(250), "warn")
    assert [row.value for row in Threshold.objects.filter(budget=made)] == [Decimal(90)]
    actions = {entry.action for entry in trail.history(made)}
    assert {"budget.limit_raised", "budget.changed", "budget.thresholds_changed"} <= actions


def test_a_plan_says_in_the_audit_log_what_it_did(here: Cast) -> None:
    applied(here, NEW)

    entry = AuditEntry.objects.get(action="budgetplan.applied")
    assert entry.actor_id == here.person("finance").pk
    assert entry.changes["source"] == [None, "2027.xlsx"]
    assert entry.changes["created"] == [None, "1"]


def test_a_plan_is_applied_once(here: Cast) -> None:
    plan = drafted(here, previewed(NEW))

    drafts.apply(plan, names(), by=finance(here), at=timezone.now())

    with pytest.raises(AppliedError):
        drafts.apply(plan, names(), by=finance(here), at=timezone.now())
    assert Budget.objects.filter(name="Marketing 2027").count() == 1


def test_a_plan_with_a_faulty_row_is_not_applied(here: Cast) -> None:
    plan = drafted(here, previewed(NEW, {"name": "Other", "limit_usd": "x"}))

    with pytest.raises(FaultyError):
        drafts.apply(plan, names(), by=finance(here), at=timezone.now())
    assert not Budget.objects.filter(name="Marketing 2027").exists()


def test_a_budget_that_changed_since_the_preview_stops_the_plan_and_is_named(here: Cast) -> None:
    made = make_budget(name="Marketing", limit="100")
    plan = drafted(here, previewed(NEW, {"name": "Marketing", "limit_usd": "250"}))
    revisions.revise(made, Decimal(120), at=timezone.now(), by=finance(here))

    with pytest.raises(ChangedError) as refused:
        drafts.apply(plan, names(), by=finance(here), at=timezone.now())

    assert [(d.name, d.column, d.was, d.now) for d in refused.value.differences] == [
        ("Marketing", "limit_usd", "100", "120")
    ]
    assert revisions.limit_of(made) == Decimal(120)


def test_a_budget_that_appeared_or_ended_since_the_preview_stops_the_plan(here: Cast) -> None:
    gone = make_budget(name="Gone", limit="100")
    plan = drafted(here, previewed(NEW, {"name": "Gone", "limit_usd": "250"}))
    make_budget(name="Marketing 2027", limit="1")
    revisions.archive(gone, at=timezone.now(), by=finance(here))

    with pytest.raises(ChangedError) as refused:
        drafts.apply(plan, names(), by=finance(here), at=timezone.now())

    assert [(d.name, d.column, d.was, d.now) for d in refused.value.differences] == [
        ("Marketing 2027", "name", "", "Marketing 2027"),
        ("Gone", "name", "Gone", ""),
    ]


def test_what_a_new_row_names_must_still_be_there(here: Cast) -> None:
    plan = drafted(here, previewed({**NEW, "owner": here.person("manager").email}))
    known = names()
    without = type(known)({}, known.by_id, {})

    with pytest.raises(ChangedError) as refused:
        drafts.apply(plan, without, by=finance(here), at=timezone.now())

    assert {(d.column, d.now) for d in refused.value.differences} == {
        ("covered", ""),
        ("owner", ""),
    }


def test_a_raise_above_what_one_person_may_waits_and_the_rest_is_done(here: Cast) -> None:
    Organization.objects.update(raise_needs_approval_above=Decimal(100))
    make_budget(name="Marketing", limit="100")

    done = applied(here, {"name": "Marketing", "limit_usd": "900", "enforcement": "warn"}, NEW)

    made = budget("Marketing")
    request = ApprovalRequest.objects.get(subject_id=str(made.pk))
    assert done == Applied(created=1, revised=1, asked=1)
    assert (revisions.limit_of(made), made.enforcement) == (Decimal(100), "warn")
    assert (request.payload["limit"], request.reason) == ("900", "the board's plan")


def test_a_limit_of_a_later_day_leaves_the_running_period_alone(here: Cast) -> None:
    made = make_budget(name="Marketing", limit="100")
    (step,) = previewed({"name": "Marketing", "limit_usd": "250"})
    begins = timezone.now() + timedelta(days=40)
    step.begins_at = begins.isoformat()

    drafts.apply(drafted(here, [step]), names(), by=finance(here), at=timezone.now())

    now = standing.current(made, at=timezone.now())
    assert now is not None
    assert now.limit == Decimal(100)
    assert revisions.limit_of(made, at=begins) == Decimal(250)
    assert previewed({"name": "Marketing", "limit_usd": "100"})[0].action is Action.UNCHANGED
