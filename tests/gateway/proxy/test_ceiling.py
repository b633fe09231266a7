"""No call within its bound costs more than its hold, whatever price, hour, tier and terms it meets."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.prices import pricing
from attribution.prices.pricing import Card, Rates
from attribution.prices.tokens import INPUT_SIDE, OUTPUT_SIDE, Tokens
from gateway.proxy import bound
from gateway.proxy.bound import Bound
from gateway.routes.targets import instant
from tests.gateway.proxy.bridge.test_catalog import UPSTREAM, catalog, price

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
MODELS = ("one", "two")
TIERS = ("flex", "priority", "batch")

rates = st.decimals(0, 100, places=6).map(str)
optional = {name: rates for name in (*INPUT_SIDE, *OUTPUT_SIDE) if name not in ("input", "output")}
bases = st.fixed_dictionaries(
    {"input": rates, "output": rates, "searches": rates, "requests": rates}, optional=optional
)
schedules = st.fixed_dictionaries(
    {"base": bases},
    optional={
        "tiers": st.lists(
            st.fixed_dictionaries({"above": st.integers(0, 2_000), "rates": bases}), max_size=2
        )
    },
)
hours = st.times().map(lambda at: f"{at:%H:%M}")
windows = st.builds(
    lambda start, end, days, schedule: {"start": start, "end": end, "days": days, **schedule},
    hours,
    hours,
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True),
    schedules,
)
cards = st.builds(
    lambda standard, tiers, windows: {**standard, "service_tiers": tiers, "windows": windows},
    schedules,
    st.dictionaries(st.sampled_from(TIERS), schedules, max_size=2),
    st.lists(windows, max_size=2),
)
percents = st.decimals(0, 100, places=4)
terms = st.tuples(percents, percents).map(
    lambda both: (100 - both[0]) * (100 + both[1]) * Decimal("0.0001")
)
calls = st.fixed_dictionaries(
    {
        "minute": st.integers(0, 7 * 24 * 60),
        "tokens": st.dictionaries(
            st.sampled_from((*INPUT_SIDE, *OUTPUT_SIDE)), st.integers(0, 1_000), max_size=5
        ),
        "searches": st.integers(0, 3),
        "asked": st.sampled_from((None, *TIERS)),
        "is_served_as_asked": st.booleans(),
        "answers": st.sampled_from(MODELS),
    }
)
worlds = st.fixed_dictionaries(
    {
        "cards": st.tuples(cards, cards),
        "terms": st.tuples(terms, terms),
        "call": calls,
        "spare": st.integers(0, 50),
    }
)


def targets(world: dict[str, Any], *, is_marked_up: bool = True) -> Any:
    """Return a catalogue whose route leads to two upstreams, and its targets."""
    made = catalog(
        prices=[price(n, model, world["cards"][n]) for n, model in enumerate(MODELS)],
        upstreams=[
            {**UPSTREAM, "id": model, "name": model, "price_multiplier": str(many)}
            if is_marked_up
            else {**UPSTREAM, "id": model, "name": model}
            for model, many in zip(MODELS, world["terms"], strict=True)
        ],
        routes=[
            {
                "name": "m",
                "targets": [
                    {"upstream_id": model, "provider_model": model, "position": n, "weight": 1}
                    for n, model in enumerate(MODELS)
                ],
            }
        ],
    )
    return made, made.targets("m", "openai_chat")


def held(world: dict[str, Any], tokens: Tokens, *, is_marked_up: bool = True) -> Decimal:
    """Return the hold of a call, as the gateway makes it."""
    made, places = targets(world, is_marked_up=is_marked_up)
    call = world["call"]
    bounded = Bound(
        input_tokens=tokens.input_total + world["spare"],
        output_tokens=tokens.output_total + world["spare"],
        max_output=None,
        web_searches=call["searches"],
        input_classes=INPUT_SIDE,
        output_classes=OUTPUT_SIDE,
    )
    ceiling = made.ceiling(places, bounded.input_tokens, call["asked"], at_ms(call))
    assert ceiling is not None
    return bound.hold(bounded, ceiling)


def charged(world: dict[str, Any], tokens: Tokens) -> Decimal:
    """Return what the upstream that answers charges."""
    call = world["call"]
    _, places = targets(world)
    (answering,) = (one for one in places if one.model == call["answers"])
    tier = call["asked"] if call["is_served_as_asked"] else "default"
    dated = answering.price_at(at_ms(call))
    assert dated is not None
    at = instant(at_ms(call))
    chosen = pricing.rates_for(dated.card, tokens, at=at, service_tier=tier)
    cost = pricing.cost(tokens, chosen, searches=call["searches"])
    return cost.total if cost else Decimal(0)  # a tier without a price is unpriced


def at_ms(call: dict[str, Any]) -> int:
    """Return when a call is made."""
    return int((START + timedelta(minutes=call["minute"])).timestamp() * 1000)


def plain(**parts: Any) -> dict[str, Any]:
    """Return a world in which one part of the first price makes a call dear."""
    cheap = {"base": {"input": "1", "output": "1", "searches": "0", "requests": "0"}}
    call = {"minute": 600, "tokens": {"input": 1_000}, "searches": 0, "asked": None}
    answered = {"is_served_as_asked": True, "answers": MODELS[0]}
    one = Decimal(1)
    return {
        "cards": ({**cheap, **parts}, cheap),
        "terms": (one, one),
        "call": call | answered,
        "spare": 0,
    }


DEAR = {"base": {"input": "9", "output": "9"}}
PARTS: dict[str, Any] = {
    "windows": [{"start": "09:00", "end": "11:00", **DEAR}],
    "service_tiers": {"priority": DEAR},
    "tiers": [{"above": 500, "rates": DEAR["base"]}],
}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds)
def test_no_call_within_its_bound_costs_more_than_its_hold(world: dict[str, Any]) -> None:
    tokens = Tokens.from_mapping(world["call"]["tokens"])

    assert charged(world, tokens) <= held(world, tokens)


def test_control_a_ceiling_without_the_markup_is_passed() -> None:
    world = plain() | {"terms": (Decimal("1.05"), Decimal(1))}
    tokens = Tokens(input=1_000)

    assert charged(world, tokens) == Decimal("0.00105") == held(world, tokens)
    assert held(world, tokens, is_marked_up=False) < charged(world, tokens)


@pytest.mark.parametrize("part", PARTS)
def test_control_a_ceiling_without_any_of_its_parts_is_passed(part: str) -> None:
    world, without = plain(**{part: PARTS[part]}), plain()
    if part == "service_tiers":
        world["call"]["asked"] = without["call"]["asked"] = "priority"
    tokens = Tokens(input=1_000)

    assert charged(world, tokens) == Decimal("0.009") == held(world, tokens)
    assert held(without, tokens) < charged(world, tokens)


def test_discount_and_markup_round_once_to_a_price() -> None:
    card = Card.from_dict({"base": {"input": "0.333333", "output": "1"}})

    marked = card.multiplied(Decimal("0.945"))  # 10 % off, then 5 % on

    assert marked.standard.base == Rates({"input": Decimal("0.315"), "output": Decimal("0.945")})
