"""An anomaly says what changed, and which key, prompt and feature made most of it."""

from decimal import Decimal
from typing import Any

from attribution.insights.models import Anomaly
from attribution.isolation.transaction import tenant
from attribution.prices.models import Price
from attribution.prices.tokens import Tokens
from budgets.reservations.ingest import Event
from tests.attribution.insights.days import MODEL, Days
from tests.factories import make_price

PARTS = ("price", "volume", "intensity", "mix")


def parts(row: Anomaly) -> list[Decimal]:
    """Return the parts of a row's change."""
    return [Decimal(row.reason[name]) for name in PARTS]


def call(days: Days, ago: int, read: int, written: int, **columns: Any) -> None:
    """Add a call of input and output tokens at the price in force."""
    number, at = str(next(days.numbers)), days.moment(ago)
    tokens = Tokens(input=read, output=written)
    columns = {"feature": "search", **columns}
    days.events.append(
        Event("test", number, at, MODEL, "test", tokens, cost_center="RND", columns=columns)
    )


def priced(days: Days, base: dict[str, str], ago: int, until: int | None = None) -> Price:
    """Set the price from a day on."""
    with tenant(days.organization.pk):
        return make_price(
            model=MODEL,
            provider="test",
            rates={"base": base},
            effective_from=days.moment(ago),
            effective_to=None if until is None else days.moment(until),
        )


def test_the_example_of_the_books_is_told_of_real_calls(committed: None) -> None:
    days = Days(anomaly_least_usd=Decimal(5))
    priced(days, {"input": "2", "output": "10"}, 30, until=1)
    priced(days, {"input": "2", "output": "8"}, 1)
    for ago in range(21, 1, -1):
        for _ in range(10):
            call(days, ago, 100_000, 50_000)
    for _ in range(20):
        call(days, 1, 100_000, 125_000)

    days.look()

    (found,) = days.by_day()
    assert (found.expected, found.actual) == (Decimal(7), Decimal(24))
    assert parts(found) == [Decimal(text) for text in ("-5", "7", "7", "8")]
    assert found.reason["requests"] == ["10", "20"]
    assert found.reason["is_complete"]


def test_the_key_prompt_and_feature_responsible_are_named(committed: None) -> None:
    days = Days()
    steady, wild = days.key(), days.key()
    days.every_day(21, "40", feature="search", prompt_name="find-v1", **steady)
    days.spend(1, "90", feature="agents", prompt_name="plan-v2", **wild)
    days.spend(1, "70", feature="agents", prompt_name="find-v1", **wild)

    days.look()

    (found,) = days.by_day()
    named = [(one["dimension"], one["name"], one["change"]) for one in found.reason["named"]]
    assert named == [
        ("api_key", wild["api_key_name"], "160"),
        ("feature", "agents", "160"),
        ("prompt", "plan-v2", "90"),
    ]
    assert sum(parts(found)) == found.impact == 160


def test_of_less_spend_who_stopped_is_named(committed: None) -> None:
    days = Days()
    steady, gone = days.key(), days.key()
    days.every_day(21, "40", **steady)
    days.every_day(21, lambda ago: "60" if ago > 1 else "0", **gone)

    days.look()

    (found,) = days.by_day()
    assert found.impact == -60
    assert found.reason["named"][0]["name"] == gone["api_key_name"]
    assert found.reason["named"][0]["change"] == "-60"


def test_where_nothing_was_spent_before_it_is_new_spend(committed: None) -> None:
    days = Days()
    days.spend(20, "12")
    days.spend(1, "30")

    days.look()

    (found,) = days.by_day()
    assert found.reason["is_new"]
    assert "price" not in found.reason


def test_the_parts_of_several_days_sum_to_their_impact(committed: None) -> None:
    days = Days()
    days.every_day(24, lambda ago: {3: "180.000000000001", 2: "190", 1: "75.5"}.get(ago, "40.1"))

    days.look()

    (found,) = days.by_day()
    assert len(found.buckets) == 3
    assert sum(parts(found)) == found.impact == Decimal("325.200000000001")


def test_an_anomaly_of_a_key_is_explained_by_its_calls_alone(committed: None) -> None:
    days = Days()
    mine, other = days.key(), days.key()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", **mine)
    days.every_day(21, lambda ago: "10" if ago == 1 else "170", **other)

    found = [row for row in days.look() if row.granularity == "day"]

    by_key = {row.api_key_name: row for row in found}
    assert set(by_key) == {mine["api_key_name"], other["api_key_name"]}  # together they offset
    assert sum(parts(by_key[mine["api_key_name"]])) == 160
    assert sum(parts(by_key[other["api_key_name"]])) == -160
