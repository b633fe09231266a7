"""The money functions against a plain model, driven in random order."""

import json
import os
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.concurrency.store import World, make_world, settled

pytestmark = pytest.mark.usefixtures("committed")

AMOUNTS = st.integers(1, 400).map(lambda cents: Decimal(cents) / 1000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), AMOUNTS, st.sets(st.integers(0, 2))),
        st.tuples(st.just("again"), st.integers(0, 20), st.none()),
        st.tuples(st.just("settle"), st.integers(0, 20), AMOUNTS),
        st.tuples(st.just("settle elsewhere"), st.integers(0, 20), AMOUNTS),
        st.tuples(st.just("extend"), st.integers(0, 20), AMOUNTS),
        st.tuples(st.just("release"), st.integers(0, 20), st.none()),
        st.tuples(st.just("expire"), st.integers(0, 20), st.none()),
        st.tuples(st.just("give up"), st.integers(0, 20), st.none()),
        st.tuples(st.just("relimit"), AMOUNTS, st.integers(0, 2)),
    ),
    min_size=4,
    max_size=14,
)
FILTERED = 2  # the budget that is for one provider only
FILTERS: list[dict[str, list[str]]] = [{}, {}, {"providers": ["acme"]}]


@dataclass
class Call:
    """What the model knows of a call."""

    question: dict[str, Any]
    amount: Decimal
    budgets: set[int]
    answer: str
    state: str
    cost: Decimal = Decimal(0)


@dataclass
class Model:
    """Three budgets and their calls, as anyone would write them down."""

    limits: list[Decimal]
    calls: list[Call] = field(default_factory=list)

    def charged(self, budget: int, state: str) -> Decimal:
        """Return what the calls in a state are charged in a budget."""
        return sum(
            (
                call.cost if state == "settled" else call.amount
                for call in self.calls
                if call.state == state and budget in call.budgets
            ),
            Decimal(0),
        )

    def figures(self) -> list[tuple[Decimal, ...]]:
        """Return limit, spent, held and uncertain of each budget."""
        states = ("settled", "held", "uncertain")
        return [
            (limit, *(self.charged(budget, state) for state in states))
            for budget, limit in enumerate(self.limits)
        ]

    def decide(self, amount: Decimal, budgets: set[int], own: Decimal = Decimal(0)) -> str:
        """Say what must be answered to who asks for an amount, or for more beside an own hold."""
        firm = [self.figures()[budget] for budget in budgets]
        if any(limit - spent - unsure - own < amount for limit, spent, _, unsure in firm):
            return "budget_exceeded"
        if any(limit - spent - unsure - held < amount for limit, spent, held, unsure in firm):
            return "budget_reserved"
        return "granted"

    def extend(self, call: Call, amount: Decimal) -> str:
        """Let a hold grow, or say why it does not."""
        if call.state != "held":
            return "stale"
        more = amount - call.amount
        answer = "granted" if more <= 0 else self.decide(more, call.budgets, call.amount)
        call.amount = max(call.amount, amount) if answer == "granted" else call.amount
        return answer

    def end(self, call: Call, state: str, cost: Decimal = Decimal(0), *, late: bool = True) -> str:
        """Move a call, or say that it does not move."""
        may = {"held"} | ({"uncertain"} if late and state != "uncertain" else set())
        if call.state not in may:
            return "noop"
        call.state, call.cost = state, cost
        return "done"


class Machine:
    """Does every step to the model and to the database, and compares both after it."""

    def __init__(self, world: World, app: psycopg.Connection, sweeper: psycopg.Connection) -> None:
        self.world, self.app, self.sweeper = world, app, sweeper
        self.model = Model([Decimal(1)] * 3)

    def step(self, what: str, first: Any, second: Any) -> None:
        """Do one step."""
        if what == "admit":
            self.admit(first, second)
        elif what == "relimit":
            self.relimit(second, first)
        elif self.model.calls:
            self.follow(what, self.model.calls[first % len(self.model.calls)], second)
        self.compare()

    def admit(self, amount: Decimal, budgets: set[int]) -> None:
        """Ask for a new call."""
        periods = [self.world.periods[budget] for budget in sorted(budgets)]
        question = self.world.call(f"{amount:f}", periods=periods)
        answer = self.model.decide(amount, budgets)
        assert self.world.admit(self.app, [question]) == [answer]
        state = "held" if answer == "granted" else "denied"
        self.model.calls.append(Call(question, amount, budgets, answer, state))

    def follow(self, what: str, call: Call, cost: Decimal | None) -> None:
        """Ask again for a known call, or end it."""
        if what == "again":
            outcome = call.answer if call.state in ("held", "denied") else call.state
            assert self.world.admit(self.app, [call.question]) == [outcome]
            return
        if what == "extend":
            self.extend(call, cost or Decimal(0))
            return
        ends = {"settle": "settled", "settle elsewhere": "settled", "release": "released"}
        state = ends.get(what, "uncertain")
        expected = self.model.end(call, state, cost or Decimal(0), late=what != "expire")
        if what == "settle elsewhere" and expected == "done":
            call.budgets = call.budgets - {FILTERED}
        provider = "other" if what == "settle elsewhere" else "acme"
        item = {**settled(call.question, f"{cost or 0:f}"), "state": state, "provider": provider}
        kind = "expire" if what == "expire" else "settle"
        rows = self.sweeper.execute(
            "SELECT outcome FROM budgets_resolve(%s::jsonb, %s)", [json.dumps([item]), kind]
        )
        assert rows.fetchall() == [(expected,)]

    def extend(self, call: Call, amount: Decimal) -> None:
        """Ask for a larger hold."""
        item = {"id": call.question["id"], "amount": f"{amount:f}"}
        rows = self.sweeper.execute(
            "SELECT outcome FROM budgets_extend(%s::jsonb)", [json.dumps([item])]
        )
        assert rows.fetchall() == [(self.model.extend(call, amount),)]

    def relimit(self, budget: int, amount: Decimal) -> None:
        """Set another limit."""
        organization = self.world.organization_id
        with self.app.transaction():
            self.serve()
            (budget_id,) = self.app.execute(
                "SELECT budget_id FROM budget_period WHERE id = %s", [self.world.periods[budget]]
            ).fetchone() or (None,)
            self.app.execute(
                "INSERT INTO limit_version (id, organization_id, budget_id, kind, amount, effective_at, reason, created_at)"
                " VALUES (gen_random_uuid(), %s, %s, 'revised', %s, now(), '', clock_timestamp())",
                [organization, budget_id, amount],
            )
            question = {"organization_id": str(organization), "budget_id": str(budget_id)}
            self.app.execute("SELECT budgets_relimit(%s::jsonb)", [json.dumps(question)])
        self.model.limits[budget] = amount

    def compare(self) -> None:
        """Compare every counter, and the ledger, with the model."""
        with self.app.transaction():
            self.serve()
            figures = self.app.execute(
                "SELECT limit_amount, spent, held, uncertain FROM budget_period ORDER BY id"
            ).fetchall()
            booked = self.app.execute(
                "SELECT coalesce(sum(usd_amount) FILTER (WHERE account = 'spent'), 0),"
                " coalesce(sum(usd_amount) FILTER (WHERE account = 'uncertain'), 0),"
                " coalesce(sum(call_count), 0) FROM ledger_entry"
            ).fetchone()
        calls = self.model.calls
        settled_calls = [call for call in calls if call.state == "settled"]
        unsure = [call for call in calls if call.state == "uncertain"]
        assert figures == self.model.figures()
        assert booked == (
            sum(call.cost for call in settled_calls),
            sum(call.amount for call in unsure),
            len(settled_calls) + len(unsure),
        )

    def serve(self) -> None:
        """Serve the organization in this transaction."""
        self.app.execute(
            "SELECT set_config('app.organization_id', %s, true)", [str(self.world.organization_id)]
        )


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_counters_and_ledger_follow_a_plain_model(
    steps: list[tuple[str, Any, Any]], owner_dsn: str
) -> None:
    with (
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as app,
        psycopg.connect(owner_dsn, autocommit=True) as sweeper,
    ):
        sweeper.execute("SET ROLE tollkeeper_ledger")
        machine = Machine(make_world(limits=["1", "1", "1"], filters=FILTERS), app, sweeper)
        for step in steps:
            machine.step(*step)
