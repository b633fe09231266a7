"""Forecasts of running budgets: what is kept, what is raised and told, each once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from budgets.alerts.models import Alert
from budgets.forecasts import evaluation, outlooks
from budgets.forecasts.models import Forecast
from budgets.forecasts.outlooks import Outlook
from budgets.limits.models import Budget, Threshold
from budgets.notifications.models import Notification
from tests.factories import make_budget, make_organization
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")

NOVEMBER = datetime(2024, 11, 1, tzinfo=UTC)
ELEVENTH = datetime(2024, 11, 11, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _advanced(committed: None) -> None:
    rollups.advance()


@pytest.fixture
def organization_id(committed: None) -> UUID:
    return make_organization().pk


@pytest.fixture
def ours(owner_dsn: str, organization_id: UUID) -> Iterator[Books]:
    with books(owner_dsn, organization_id=organization_id) as found:
        yield found


def budget_of(organization_id: UUID, *, at: datetime = NOVEMBER, **values: object) -> Budget:
    with tenant(organization_id):
        return make_budget(**{"limit": "1000", "thresholds": [], "at": at, **values})  # type: ignore[arg-type]  # as the factory takes them


def serve(found: Books) -> None:
    """Begin a transaction of the owner that serves the organization."""
    found.connection.execute(
        "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
        [str(found.organization_id)],
    )


def set_period(found: Books, statement: str) -> None:
    """Change the periods behind everybody's back, as the owner, and commit."""
    serve(found)
    found.connection.execute(
        f"UPDATE budget_period SET {statement} WHERE organization_id = %s",  # noqa: S608 -- a test's own text
        [found.organization_id],
    )
    found.connection.commit()


def spend(found: Books, cost: str, days: int, *, first: datetime = NOVEMBER, **row: object) -> None:
    """Let every day cost the same; what the running period is charged is their sum."""
    serve(found)
    for number in range(days):
        found.rollup(first + number * DAY + timedelta(hours=9), cost=cost, **row)  # type: ignore[arg-type]  # as the row takes them
    set_period(found, f"spent = spent + {Decimal(cost) * days}")


def threshold(organization_id: UUID, budget: Budget, **values: object) -> None:
    with tenant(organization_id):
        Threshold.objects.create(budget=budget, **values)


def outlook(organization_id: UUID, budget: Budget, at: datetime) -> Outlook:
    evaluation.evaluate(organization_id, at=at)
    with tenant(organization_id):
        return outlooks.of([budget.pk], at=at)[budget.pk]


def told(organization_id: UUID, topic: str) -> list[dict[str, object]]:
    with tenant(organization_id):
        found = Notification.objects.filter(topic=topic, recipient="").order_by("created_at")
        return [event.payload for event in found]


def test_ten_dollars_a_day_after_ten_days_of_november_are_300(
    ours: Books, organization_id: UUID
) -> None:
    budget = budget_of(organization_id)
    spend(ours, "10", 10)

    found = outlook(organization_id, budget, ELEVENTH)

    assert (found.status, found.method, found.p50) == ("ok", "run_rate", Decimal(300))
    assert (found.through_on, found.days) == (date(2024, 11, 10), 10)
    assert found.exhausted_on is None
    assert found.variance == -700
    assert found.ahead[-1].day == date(2024, 11, 30)
    with tenant(organization_id):
        assert Forecast.objects.get().p50 == 300


def test_two_days_are_insufficient_data_and_alert_nobody(
    ours: Books, organization_id: UUID
) -> None:
    budget = budget_of(organization_id, limit="1")
    threshold(organization_id, budget, basis="forecast", value=1)
    spend(ours, "10", 2)

    found = outlook(organization_id, budget, NOVEMBER + 2 * DAY)

    assert (found.status, found.p50, found.p10) == ("insufficient_data", None, None)
    with tenant(organization_id):
        assert not Alert.objects.filter(basis="forecast").exists()


def test_a_forecast_threshold_is_raised_once_per_arm(ours: Books, organization_id: UUID) -> None:
    budget = budget_of(organization_id, limit="250")
    threshold(organization_id, budget, basis="forecast", value=100)
    threshold(organization_id, budget, basis="forecast", unit="usd", value=300)
    threshold(organization_id, budget, basis="forecast", unit="usd", value="300.01")
    spend(ours, "10", 10)

    new = [evaluation.evaluate(organization_id, at=ELEVENTH) for _ in range(3)]
    set_period(ours, "limit_amount = 290, base_amount = 290, arm = 2")
    again = evaluation.evaluate(organization_id, at=ELEVENTH + timedelta(hours=1))

    assert new == [2, 0, 0]
    with tenant(organization_id):
        alerts = list(Alert.objects.order_by("arm", "unit"))
    assert [(a.arm, a.unit, a.threshold, a.forecast) for a in alerts] == [
        (arm, unit, value, Decimal(300))
        for arm in (1, 2)
        for unit, value in (("percent", Decimal(100)), ("usd", Decimal(300)))
    ]
    assert (new, again) == ([2, 0, 0], 2)
    assert alerts[0].data_through_on == date(2024, 11, 10)
    assert alerts[0].actual_at == 100
    assert len(told(organization_id, "budget.threshold")) == 4


def test_a_threshold_may_look_at_p90(ours: Books, organization_id: UUID) -> None:
    budget = budget_of(organization_id, at=NOVEMBER, limit="100000")
    for quantile in ("p10", "p50", "p90"):
        for value in range(900, 1200, 20):
            threshold(
                organization_id,
                budget,
                basis="forecast",
                unit="usd",
                value=value,
                quantile=quantile,
            )
    first = NOVEMBER - 60 * DAY
    for number in range(80):
        spend(ours, "90" if number % 20 == 19 else "30", 1, first=first + number * DAY)
    period_cost = Decimal(20 * 30 + 60)
    set_period(ours, f"spent = {period_cost}")

    found = outlook(organization_id, budget, NOVEMBER + 20 * DAY)

    assert found.p10 is not None
    assert found.p50 is not None
    assert found.p90 is not None
    assert period_cost <= found.p10 <= found.p50 <= found.p90
    assert found.p10 < found.p90
    with tenant(organization_id):
        alerts = list(Alert.objects.values_list("quantile", "threshold"))
    assert {
        quantile: max(value for name, value in alerts if name == quantile)
        for quantile in ("p10", "p50", "p90")
    } == {
        "p10": found.p10 // 20 * 20,
        "p50": found.p50 // 20 * 20,
        "p90": found.p90 // 20 * 20,
    }


def test_a_burn_rate_is_spend_in_hours_by_the_even_pace(ours: Books, organization_id: UUID) -> None:
    budget = budget_of(organization_id)
    for value in ("2.9", "3", "3.1"):
        threshold(organization_id, budget, basis="burn_rate", unit="factor", value=value, hours=24)
    spend(ours, "100", 1, first=NOVEMBER + 9 * DAY)

    new = evaluation.evaluate(organization_id, at=ELEVENTH)

    assert new == 2
    with tenant(organization_id):
        alerts = list(Alert.objects.order_by("threshold"))
        assert [alert.threshold for alert in alerts] == [Decimal("2.9"), Decimal(3)]
        assert [alert.burn_factor for alert in alerts] == [Decimal(3)] * 2
        state = outlooks.of([budget.pk], at=ELEVENTH)[budget.pk].state
    assert state == "warning"


def test_complete_days_are_read_once_a_day(ours: Books, organization_id: UUID) -> None:
    budget = budget_of(organization_id)
    spend(ours, "10", 10)
    evaluation.evaluate(organization_id, at=ELEVENTH)
    with tenant(organization_id):
        first = Forecast.objects.get()

    spend(ours, "30", 1, first=ELEVENTH)
    found = outlook(organization_id, budget, ELEVENTH + timedelta(hours=5))
    with tenant(organization_id):
        second = Forecast.objects.get()
    evaluation.evaluate(organization_id, at=ELEVENTH + DAY)
    with tenant(organization_id):
        third = Forecast.objects.get()

    assert second.modelled_at == first.modelled_at
    assert second.pk == first.pk
    assert found.p50 == 100 + 30 + 190
    assert third.modelled_at == ELEVENTH + DAY
    assert third.through_on == date(2024, 11, 11)


def test_a_recovery_is_told_once_when_the_limit_is_raised(
    ours: Books, organization_id: UUID
) -> None:
    budget = budget_of(organization_id, limit="100", thresholds=["80"])
    spend(ours, "10", 10)
    evaluation.evaluate(organization_id, at=ELEVENTH)
    assert told(organization_id, "budget.recovered") == []

    set_period(ours, "limit_amount = 500, base_amount = 500, arm = 2")
    with tenant(organization_id):
        before = outlooks.of([budget.pk], at=ELEVENTH)
    for _ in range(2):
        evaluation.evaluate(organization_id, at=ELEVENTH + timedelta(minutes=1))

    assert before[budget.pk].state in {"alert", "ok"}
    events = told(organization_id, "budget.recovered")
    assert [(event["from"], event["to"]) for event in events] == [("alert", "ok")]
    assert events[0]["period_id"]


def test_silence_where_there_is_usually_spend_is_told_once_and_its_end_too(
    ours: Books, organization_id: UUID
) -> None:
    budget = budget_of(organization_id)
    spend(ours, "10", 30, first=NOVEMBER - 25 * DAY)  # through 5 November
    set_period(ours, "spent = 50")

    at = NOVEMBER + 7 * DAY
    silent = outlook(organization_id, budget, at)
    evaluation.evaluate(organization_id, at=at + timedelta(minutes=1))
    spend(ours, "10", 1, first=NOVEMBER + 7 * DAY)
    heard = outlook(organization_id, budget, at + timedelta(hours=10))

    assert (silent.state, silent.silent_since) == ("no_data", date(2024, 11, 6))
    assert heard.state == "ok"
    assert [e["silent_since"] for e in told(organization_id, "budget.no_data")] == ["2024-11-06"]
    recovered = told(organization_id, "budget.recovered")
    assert [(event["from"], event["to"]) for event in recovered] == [("no_data", "ok")]


def test_each_scope_is_forecast_by_its_own_calls(ours: Books, organization_id: UUID) -> None:
    center = ours.center("RND")
    ours.connection.commit()
    whole = budget_of(organization_id)
    part = budget_of(organization_id, scope="cost_center", scope_id=center)
    user = budget_of(organization_id, scope="user", scope_value="ana")
    spend(ours, "10", 5)
    spend(ours, "4", 5, center=center)
    spend(ours, "1", 5, facet="user", value="ana")
    spend(ours, "13", 5, facet="user", value="bo")

    evaluation.evaluate(organization_id, at=NOVEMBER + 5 * DAY)

    with tenant(organization_id):
        rows = {
            row.budget_period.budget_id: row.outline
            for row in Forecast.objects.select_related("budget_period")
        }
    expected = {budget: Decimal(outline["expected"][3]) for budget, outline in rows.items()}
    assert expected == {whole.pk: Decimal(14), part.pk: Decimal(4), user.pk: Decimal(1)}


def test_usage_that_is_reported_late_has_some_hours_and_a_given_up_silence_is_no_recovery(
    ours: Books, organization_id: UUID
) -> None:
    budget = budget_of(organization_id, period="year", at=NOVEMBER)
    spend(ours, "10", 30, first=NOVEMBER - 30 * DAY)  # through 31 October

    early = outlook(organization_id, budget, NOVEMBER + DAY + timedelta(hours=5))
    late = outlook(organization_id, budget, NOVEMBER + DAY + timedelta(hours=7))
    gone = outlook(organization_id, budget, NOVEMBER + 40 * DAY)

    assert (early.silent_since, late.silent_since) == (None, date(2024, 11, 1))
    assert gone.silent_since is None
    assert len(told(organization_id, "budget.no_data")) == 1
    assert told(organization_id, "budget.recovered") == []
