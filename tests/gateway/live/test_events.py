"""What a reader may ask for, what they are told, and how it travels."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.live import events
from gateway.live.events import AskedError, Event, Filters


def make_event(**facts: Any) -> Event:
    """Make the event of a call."""
    plain: dict[str, Any] = {
        "timestamp": "2026-11-22T14:03:07.120Z",
        "request_id": "019abc",
        "cost_center": "RND",
        "user": "ada",
        "path": None,
        "feature": None,
        "model": "small",
        "model_billed": "small-2026",
        "provider": "fake",
        "tokens": {"input": 10, "output": 5, "total": 15},
        "cost_usd": "0.02",
        "is_estimated": False,
        "latency_ms": 120,
    }
    return Event(**plain | facts)


@pytest.mark.parametrize(
    ("asked", "is_admitted"),
    [
        ({}, True),
        ({"cost_centers": ["RND", "OPS"]}, True),
        ({"cost_centers": ["OPS"]}, False),
        ({"models": ["small"]}, True),
        ({"models": ["small-2026"]}, True),
        ({"models": ["large"]}, False),
        ({"min_cost_usd": "0.02"}, True),
        ({"min_cost_usd": 0}, True),
        ({"min_cost_usd": "0.020000000001"}, False),
        ({"cost_centers": ["RND"], "models": ["large"]}, False),
        ({"cost_centers": [], "models": None}, True),
    ],
)
def test_a_filter_admits_what_meets_all_of_it(asked: dict[str, Any], is_admitted: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    filters = events.hello({"filters": asked}).filters

    assert filters is not None
    assert filters.admits(make_event()) is is_admitted


def test_a_call_without_a_price_is_below_every_least_cost() -> None:
    assert not Filters(min_cost_usd=Decimal(0)).admits(make_event(cost_usd=None))
    assert Filters().admits(make_event(cost_usd=None))


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ([], ""),
        ("hello", ""),
        (None, ""),
        ({"key": "x"}, ""),
        ({"api_key": 7}, "api_key"),
        ({"filters": []}, "filters"),
        ({"filters": {"colour": "red"}}, "filters"),
        ({"filters": {"cost_centers": "RND"}}, "filters.cost_centers"),
        ({"filters": {"cost_centers": [""]}}, "filters.cost_centers[0]"),
        ({"filters": {"models": ["m"] * 101}}, "filters.models"),
        ({"filters": {"min_cost_usd": "much"}}, "filters.min_cost_usd"),
        ({"filters": {"min_cost_usd": "NaN"}}, "filters"),
        ({"filters": {"min_cost_usd": -1}}, "filters"),
        ({"filters": {"min_cost_usd": "1e30"}}, "filters"),
        ({"filters": {"min_cost_usd": "1e-30"}}, "filters"),
        ({"filters": {"min_cost_usd": "1e-999999999"}}, "filters"),
        ({"filters": {"models": ["a\0b"]}}, "filters.models[0]"),
    ],
)
def test_a_first_message_that_cannot_be_read_is_refused_by_name(message: Any, param: str) -> None:
    with pytest.raises(AskedError) as refused:
        events.hello(message)

    assert refused.value.param == param
    assert str(refused.value)


def test_a_query_repeats_names_or_writes_them_with_commas() -> None:
    pairs = [("models", "a,b"), ("models", "c"), ("cost_centers", "RND"), ("min_cost_usd", "0.1")]

    filters = events.filters(pairs)

    assert filters == Filters(
        cost_centers=("RND",), models=("a", "b", "c"), min_cost_usd=Decimal("0.1")
    )


@pytest.mark.parametrize("name", ["api_key", "key", "colour"])
def test_a_query_has_no_other_parameters_least_of_all_a_key(name: str) -> None:
    with pytest.raises(AskedError) as refused:
        events.filters([(name, "tk_live_secret")])

    assert refused.value.param == name
    assert "secret" not in str(refused.value)


def test_a_batch_arrives_as_it_left() -> None:
    sent = [make_event(), make_event(cost_usd=None)]

    arrived = events.decode(events.encode(sent, 3))

    assert (arrived.events, arrived.missed) == (sent, 3)
    assert events.organization(events.channel("019-abc").encode()) == "019-abc"


def test_a_message_never_shows_its_key() -> None:
    assert "tk_live_secret" not in repr(events.hello({"api_key": "tk_live_secret"}))
