"""The cost of a call: by hand, by property, and against the finance book's acceptance check."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.prices import pricing
from attribution.prices.pricing import Card, Cost, DatedCard
from attribution.prices.rates import Rates, Schedule
from attribution.prices.tokens import CLASSES, Tokens

MINI = Rates.from_dict({"input": "0.15", "cache_read": "0.075", "output": "0.6"})
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)

LIST: dict[str, Any] = {
    "base": {"input": "3", "cache_write": "3.75", "cache_read": "0.3", "output": "15"},
    "tiers": [{"above": 200_000, "rates": {"input": "6", "output": "22.5"}}],
    "service_tiers": {"batch": {"base": {"input": "1.5", "output": "7.5"}}},
    "windows": [{"start": "16:30", "end": "00:30", "base": {"input": "1", "output": "5"}}],
}

rates = st.decimals(0, 1000, places=6)
optional = {name: rates for name in CLASSES if name not in ("input", "output")}
cards = st.fixed_dictionaries({"input": rates, "output": rates}, optional=optional)
counts = st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(0, 10**8))).map(
    Tokens.from_mapping
)


def total(tokens: Tokens, prices: Rates, *, searches: int = 0) -> Decimal:
    cost = pricing.cost(tokens, prices, searches=searches)
    assert cost is not None
    return cost.total


def test_a_cost_is_quantity_times_unit_price_of_each_class() -> None:
    cost = pricing.cost(Tokens(input=200, cache_read=800, output=50, reasoning=30), MINI)

    assert cost is not None
    assert cost.total == Decimal("0.000138")
    assert [(line.token_class, line.quantity, str(line.amount)) for line in cost.lines] == [
        ("input", 200, "0.000030000000"),
        ("cache_read", 800, "0.000060000000"),
        ("output", 50, "0.000030000000"),
        ("reasoning", 30, "0.000018000000"),
    ]


def test_a_line_is_written_as_the_ledger_reads_it() -> None:
    cost = pricing.cost(Tokens(input=200), MINI)

    assert cost is not None
    assert [line.as_dict() for line in cost.lines] == [
        {"token_class": "input", "quantity": 200, "unit_price": "0.15", "usd_amount": "0.00003"}
    ]


def test_an_unknown_price_is_none_and_never_zero() -> None:
    only_input = Rates.from_dict({"input": "0.02"})
    by_the_hour = Rates.from_dict({"input": "2", "output": "6", "audio_input": None})

    assert pricing.cost(Tokens(input=5), None) is None
    assert pricing.cost(Tokens(), Rates({})) is None
    assert pricing.cost(Tokens(input=5, output=1), only_input) is None
    assert pricing.cost(Tokens(input=5), MINI, searches=1) is None
    assert pricing.cost(Tokens(input=5, audio_input=1), by_the_hour) is None
    assert total(Tokens(input=5), by_the_hour) == Decimal("0.00001")


def test_a_free_model_has_an_explicit_price_of_zero() -> None:
    assert total(Tokens(input=7, output=9), Rates.from_dict({"input": "0", "output": "0"})) == 0


def test_fees_are_added_per_search_and_per_call() -> None:
    card = Rates.from_dict({"input": "1", "output": "1", "searches": "0.01", "requests": "0.005"})

    assert total(Tokens(input=1), card, searches=3) == Decimal("0.035001")


@pytest.mark.parametrize(("size", "rate"), [(200_000, "3"), (200_001, "6")])
def test_the_whole_call_pays_the_context_tier_that_all_its_input_reaches(
    size: int, rate: str
) -> None:
    tokens = Tokens(input=size - 1_000, cache_read=600, cache_write_1h=400)

    chosen = pricing.rates_for(Card.from_dict(LIST), tokens, at=NOON)

    assert chosen is not None
    assert chosen.of("input") == Decimal(rate)


@pytest.mark.parametrize(
    ("tier", "rate"),
    [(None, "3"), ("default", "3"), ("standard", "3"), ("Batch", "1.5"), ("priority", None)],
)
def test_the_service_tier_of_the_response_chooses_the_rates(
    tier: str | None, rate: str | None
) -> None:
    chosen = pricing.rates_for(Card.from_dict(LIST), Tokens(input=1), at=NOON, service_tier=tier)

    assert (chosen and chosen.of("input")) == (rate and Decimal(rate))


@pytest.mark.parametrize(
    ("hour", "rate"),
    [
        ("16:29", "3"),
        ("16:30", "1"),
        ("23:59", "1"),
        ("00:00", "1"),
        ("00:29", "1"),
        ("00:30", "3"),
    ],
)
def test_a_daily_window_is_half_open_and_may_cross_midnight(hour: str, rate: str) -> None:
    at = datetime.fromisoformat(f"2026-10-05T{hour}:00+00:00")

    chosen = pricing.rates_for(Card.from_dict(LIST), Tokens(input=1), at=at)

    assert chosen is not None
    assert chosen.of("input") == Decimal(rate)


def test_the_price_in_force_at_the_time_is_the_one_and_no_price_reaches_before_its_dates() -> None:
    card = Card.from_dict(LIST)
    first = DatedCard(1, card, datetime(2026, 1, 1, tzinfo=UTC), NOON)
    second = DatedCard(2, card, NOON)

    versions = [
        price and price.version
        for at in (datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), NOON)
        for price in [pricing.price_at([first, second], at)]
    ]

    assert versions == [None, 1, 2]


def test_a_card_survives_the_way_through_json() -> None:
    assert Card.from_dict(Card.from_dict(LIST).as_dict()) == Card.from_dict(LIST)
    assert Card.from_dict(LIST).as_dict() == LIST


def test_the_ceiling_is_the_dearest_way_that_can_be_reached() -> None:
    card = Card.from_dict(LIST)

    everywhere = pricing.ceiling([card])
    small = pricing.ceiling([card], input_tokens=200_000, service_tiers=())

    assert everywhere is not None
    assert small is not None
    assert (everywhere.of("input"), everywhere.of("output")) == (Decimal(6), Decimal("22.5"))
    assert (small.of("input"), small.of("output")) == (Decimal(3), Decimal(15))
    assert everywhere.of("cache_read") == Decimal(6)  # the tier states none: its input rate
    assert pricing.ceiling([]) is None
    assert pricing.ceiling([card, Card.from_dict({"base": {}})]) is None


@settings(max_examples=200, deadline=None)
@given(cards, counts, counts)
def test_a_price_is_additive_and_monotone_in_tokens(
    card: dict[str, Decimal], one: Tokens, two: Tokens
) -> None:
    prices = Rates(card)

    together = total(one + two, prices)

    assert together == total(one, prices) + total(two, prices)
    assert together >= max(total(one, prices), total(two, prices))


@settings(max_examples=200, deadline=None)
@given(cards, counts, st.integers(0, 1000))
def test_the_lines_sum_to_the_total_exactly(
    card: dict[str, Decimal], tokens: Tokens, searches: int
) -> None:
    cost = pricing.cost(tokens, Rates({**card, "searches": Decimal("0.01")}), searches=searches)

    assert cost is not None
    assert sum(line.amount for line in cost.lines) == cost.total
    assert cost.total.as_tuple().exponent == -12
    for line in cost.lines:
        per = 1 if line.token_class == "searches" else 1_000_000
        assert line.amount * per == line.quantity * line.unit_price


@settings(max_examples=200, deadline=None)
@given(cards, cards, cards, counts, st.integers(0, 200_000), st.sampled_from([None, "flex"]))
def test_no_cost_is_above_the_hold(
    base: dict[str, Decimal],
    large: dict[str, Decimal],
    flex: dict[str, Decimal],
    tokens: Tokens,
    above: int,
    tier: str | None,
) -> None:
    standard = Schedule(Rates(base), ((above, Rates(large)),))
    card = Card(standard, {"flex": Schedule(Rates(flex))})
    chosen = pricing.rates_for(card, tokens, at=NOON, service_tier=tier)
    assert chosen is not None

    held = pricing.hold(tokens, pricing.ceiling([card], input_tokens=tokens.input_total))

    assert held is not None
    assert total(tokens, chosen) <= held


def test_what_a_provider_states_is_our_lines_and_the_difference() -> None:
    tokens = Tokens(input=1_000_000, output=100_000)
    ours = pricing.cost(tokens, MINI)

    dearer = pricing.stated(Decimal("0.25"), tokens, ours)
    equal = pricing.stated(Decimal("0.21"), tokens, ours)
    unknown = pricing.stated(Decimal("0.5"), tokens, None)
    free = pricing.stated(Decimal(0), Tokens(), None)

    def told(cost: Cost) -> list[tuple[str, int, Decimal]]:
        return [(line.token_class, line.quantity, line.amount) for line in cost.lines]

    own = [("input", 1_000_000, Decimal("0.15")), ("output", 100_000, Decimal("0.06"))]
    assert told(dearer) == [*own, ("provider_difference", 1, Decimal("0.04"))]
    assert told(equal) == own
    assert told(unknown) == [
        ("input", 1_000_000, Decimal(0)),
        ("output", 100_000, Decimal(0)),
        ("provider_difference", 1, Decimal("0.5")),
    ]
    assert told(free) == [("provider_difference", 1, Decimal(0))]
    assert (dearer.total, unknown.total) == (Decimal("0.25"), Decimal("0.5"))


def test_a_million_small_calls_lose_nothing() -> None:
    """Acceptance check 4 of the finance book, scaled: every fiftieth of its million calls."""
    calls = [(n % 1_500 + 1, n % 700 + 1) for n in range(0, 1_000_000, 50)]

    ledger = sum((total(Tokens(input=i, output=o), MINI) for i, o in calls), Decimal(0))

    independent = sum(i * 15 + o * 60 for i, o in calls)  # hundred-millionths of a dollar
    assert ledger == Decimal(independent).scaleb(-8)


def test_both_ways_of_counting_the_cache_give_the_same_rows() -> None:
    """Acceptance check 11: input that includes cached tokens, and input beside them."""
    including = Tokens(input=1000 - 800, cache_read=800)
    beside = Tokens(input=200, cache_read=800)

    assert pricing.cost(including, MINI) == pricing.cost(beside, MINI)


def test_an_upstreams_discount_is_in_every_rate_and_rounded_to_a_price() -> None:
    card = Card.from_dict({**LIST, "base": {"input": "0.0375", "searches": "0.01", "output": "8"}})

    discounted = card.multiplied(Decimal("0.925")).as_dict()

    assert discounted["base"] == {"input": "0.034688", "searches": "0.00925", "output": "7.4"}
    assert discounted["tiers"][0]["rates"]["input"] == "5.55"
    assert discounted["service_tiers"]["batch"]["base"]["output"] == "6.9375"
    assert discounted["windows"][0]["base"]["output"] == "4.625"


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        ("2026-10-02T23:00", "1"),  # Friday evening
        ("2026-10-03T00:10", "1"),  # which lasts into Saturday
        ("2026-10-03T23:00", "3"),
        ("2026-10-05T00:10", "3"),  # Sunday's evening has no window
    ],
)
def test_a_window_may_be_open_on_some_days_only(at: str, rate: str) -> None:
    weekdays = {**LIST["windows"][0], "days": [0, 1, 2, 3, 4]}
    card = Card.from_dict({**LIST, "windows": [weekdays]})

    chosen = pricing.rates_for(
        card, Tokens(input=1), at=datetime.fromisoformat(at).replace(tzinfo=UTC)
    )

    assert chosen is not None
    assert chosen.of("input") == Decimal(rate)
    assert Card.from_dict(card.as_dict()) == card
