"""Who was refused by which budget, with the arithmetic of that moment."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.reservations import holds, refusals
from budgets.reservations.holds import Call, RefusedError
from budgets.reservations.refusals import Kind, Selection
from tests.factories import make_budget, make_cost_center, make_organization

pytestmark = pytest.mark.django_db
WORKER = uuid.uuid4()


def ask(amount: str, **columns: Any) -> None:
    """Ask for a call, refused or not."""
    key, center = columns.pop("api_key_id", None), columns.pop("cost_center_id", None)
    call = Call(holds.mint(timezone.now()), api_key_id=key, cost_center_id=center)
    try:
        holds.reserve(call, Decimal(amount), at=timezone.now(), worker_id=WORKER, **columns)
    except RefusedError:
        return


def today(**more: Any) -> Selection:
    """Return the selection of the last and the coming hour."""
    now = timezone.now()
    return Selection(now - timedelta(hours=1), now + timedelta(hours=1), **more)


def test_a_refusal_keeps_the_exact_arithmetic_of_its_moment() -> None:
    with tenant(make_organization().pk):
        make_budget(name="tight", limit="1", enforcement="block")
        ask("0.25")
        ask("0.900000000001", model_requested="m", feature="chat")
        ask("1.1")

        reserved, exceeded = reversed(refusals.page(today()).rows)

    assert (reserved.code, exceeded.code) == ("budget_reserved", "budget_exceeded")
    assert (reserved.kind, reserved.budget_name) == (Kind.REFUSED, "tight")
    figures = (reserved.limit, reserved.spent, reserved.held, reserved.uncertain)
    assert [f"{one:f}" for one in figures] == [
        "1.000000000000",
        "0.000000000000",
        "0.250000000000",
        "0.000000000000",
    ]
    assert reserved.needed == Decimal("0.900000000001")
    assert reserved.remaining == Decimal("0.75")
    assert reserved.missing == Decimal("0.150000000001")
    assert (reserved.model, reserved.feature) == ("m", "chat")


def test_an_observing_budget_tells_what_it_would_have_refused() -> None:
    with tenant(make_organization().pk):
        budget = make_budget(name="shadow", limit="1", enforcement="observe")
        make_budget(name="roomy", limit="100", enforcement="block")
        ask("0.8")
        ask("0.3")
        ask("0.4")

        rows = refusals.page(today()).rows
        [tally] = refusals.tallies(today())

    assert [(one.kind, one.code, one.held, one.needed) for one in rows] == [
        (Kind.OBSERVED, "", Decimal("1.1"), Decimal("0.4")),
        (Kind.OBSERVED, "", Decimal("0.8"), Decimal("0.3")),
    ]
    assert (tally.budget_id, tally.refused, tally.cut, tally.observed) == (budget.pk, 0, 0, 2)


def test_refusals_are_found_by_budget_cost_center_key_and_kind() -> None:
    with tenant(make_organization().pk):
        center, key = make_cost_center(), uuid.uuid4()
        small = make_budget(
            name="small", limit="1", enforcement="block", scope="cost_center", scope_id=center.pk
        )
        make_budget(name="all", limit="2", enforcement="observe")
        ask("1.5", cost_center_id=center.pk)
        ask("2.5", api_key_id=key)
        ask("2.5")

        def found(**more: Any) -> list[str]:
            return [one.budget_name for one in refusals.page(today(**more)).rows]

        assert found() == ["all", "all", "small"]
        assert found(budget_id=small.pk) == ["small"]
        assert found(cost_center_ids=[center.pk]) == ["small"]
        assert found(cost_center_ids=[]) == []
        assert found(api_key_id=key) == ["all"]
        assert found(kind=Kind.REFUSED) == ["small"]
        assert found(kind=Kind.OBSERVED) == ["all", "all"]
        assert found(kind=Kind.CUT) == []
        tallies = [
            (one.budget_name, one.refused, one.observed) for one in refusals.tallies(today())
        ]
        assert tallies == [("small", 1, 0), ("all", 0, 2)]


def test_a_filtered_budget_refuses_and_tells_its_own_figures_only() -> None:
    with tenant(make_organization().pk):
        make_budget(name="all", limit="100")
        make_budget(name="mail", limit="1", filters={"features": ["mail"]})
        for feature in ("chat", "mail", "mail"):
            call = Call(holds.mint(timezone.now()), feature=feature)
            try:
                holds.reserve(call, Decimal("0.6"), at=timezone.now(), worker_id=WORKER)
            except RefusedError:
                continue
        [refusal] = refusals.page(today()).rows

    assert (refusal.budget_name, refusal.feature) == ("mail", "mail")
    assert (refusal.held, refusal.missing) == (Decimal("0.6"), Decimal("0.2"))


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    with tenant(make_organization().pk):
        make_budget(name="none", limit="0", enforcement="block")
        for n in range(1, 8):
            ask(f"0.{n}")

        first = refusals.page(today(), limit=3)
        second = refusals.page(today(), before=first.before, limit=3)
        third = refusals.page(today(), before=second.before, limit=3)

    needed = [f"{one.needed:f}"[:3] for page in (first, second, third) for one in page.rows]
    assert needed == ["0.7", "0.6", "0.5", "0.4", "0.3", "0.2", "0.1"]
    assert third.before is None


def test_a_range_is_half_open_and_reads_only_its_own_partitions() -> None:
    with tenant(make_organization().pk):
        plan = today().calls().order_by("-id").explain()
        assert refusals.page(Selection(timezone.now(), timezone.now())).rows == []
    assert str(plan).count("usage_record_2") <= 2  # around midnight of a month there are two
    assert connection.in_atomic_block
