"""What a carried call is settled at: its own price, other models inside it, the provider's charge."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from attribution.prices import listings
from attribution.prices.listings import Listing
from attribution.prices.tokens import Tokens
from gateway.proxy.bridge import bill
from gateway.proxy.bridge.bill import Carried
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.protocols.wire import Seen, SubUse
from gateway.routes.targets import Target, Upstream, UpstreamRow

NOW = 1_790_000_000_000
USED = Tokens(input=1000, output=500)


def listing(model: str, **rates: str) -> Listing:
    """Return the price of a model, a version of its own for each."""
    row = {"version": len(model), "provider": "acme", "model": model, "match": {}}
    ends = {"from_ms": 0, "to_ms": None, "currency": "USD"}
    limits = {"context_window": None, "max_output_tokens": None}
    found = listings.read([{**row, **ends, **limits, "rates": {"base": rates}}]).find(model, "acme")
    assert found is not None
    return found


BIG = listing("big", input="10", output="20")
SMALL = listing("small", input="1", output="2")
OFFERED = {"big": BIG, "small": SMALL}


def carried(*, hold: str = "1", is_free: bool = False, **upstream: Any) -> Carried:
    """Return a call that was sent to the big model."""
    row = UpstreamRow(
        id="u1",
        name="one",
        kind="openai_compatible",
        base_url="https://one.example/v1",
        provider="acme",
        **{
            "price_multiplier": "1",
            "is_cost_reported": False,
            "is_error_unbilled": True,
            **upstream,
        },
        connect_timeout_s=5,
        idle_timeout_s=60,
        total_timeout_s=600,
        credential_version=0,
    )
    place = Upstream.speaking("openai_chat", row)
    assert place is not None
    target = Target(place, "big", 0, 1, BIG, OFFERED.get)
    return Carried(
        call="c",
        at_ms=NOW,
        hold=Decimal(hold),
        target=target,
        price=target.price_at(NOW),
        input_bound=2000,
        output_bound=1000,
        hides_output=False,
        is_free=is_free,
        columns={"http_status": 200},
    )


def billed(seen: Seen, *, more_output: int = 0, **call: Any) -> Settlement:
    """Settle a call."""
    return bill.bill(carried(**call), seen, more_output=more_output)


def test_a_call_costs_what_the_model_costs_that_answered() -> None:
    asked, other = billed(Seen(usage=USED, model="big")), billed(Seen(usage=USED, model="small"))

    assert (asked.cost, asked.price_version) == ("0.02", len("big"))
    assert (other.cost, other.price_version) == ("0.002", len("small"))
    assert (other.model_billed, other.cost_source) == ("small", "usage")


def test_a_model_without_a_price_of_its_own_costs_what_was_asked_for() -> None:
    assert billed(Seen(usage=USED, model="big-2026-01-01")).cost == "0.02"


def test_a_model_whose_own_price_is_not_in_force_costs_what_was_asked_for() -> None:
    """Never nothing: a budget would have been passed without a word."""
    later = replace(SMALL, versions=())
    call = carried()
    call.target.other = {"small": later}.get

    assert bill.bill(call, Seen(usage=USED, model="small")).cost == "0.02"


def test_other_models_inside_a_call_are_lines_of_their_own() -> None:
    others = (SubUse("small", Tokens(input=1000)), SubUse(None, Tokens(output=100)))

    found = billed(Seen(usage=USED, others=others))

    assert found.cost == "0.023"
    lines = [(line["token_class"], line["usd_amount"]) for line in found.lines]
    assert lines == [
        ("input", "0.01"),
        ("output", "0.01"),
        ("other_model", "0.001"),
        ("other_model", "0.002"),
    ]
    assert found.input_tokens == USED.input
    assert found.usage is not None
    assert found.usage["others"] == [
        {"model": "small", "input": 1000},
        {"model": None, "output": 100},
    ]


def test_another_model_without_a_price_leaves_the_whole_cost_unknown() -> None:
    others = (SubUse("nobody", Tokens(input=1)),)

    found = billed(Seen(usage=USED, others=others))

    assert (found.cost, found.state) == (None, "settled")
    assert found.lines == [  # its tokens are counted all the same
        {"token_class": "input", "quantity": 1000},
        {"token_class": "output", "quantity": 500},
    ]


def test_a_word_that_the_books_cannot_hold_is_cut_down_to_what_they_can() -> None:
    others = (SubUse("x\x00", Tokens()),)
    seen = Seen(usage=USED, model="b\x00ig\ud800", service_tier="\x00" + "t" * 999, others=others)

    found = billed(seen)

    assert (found.model_billed, found.service_tier) == ("big", "t" * 254)
    assert found.usage is not None
    assert found.usage["others"] == [{"model": "x"}]
    assert billed(Seen(usage=USED, model="\x00")).model_billed == "big"


def test_what_no_rate_covers_is_unpriced_and_says_so() -> None:
    found = billed(Seen(usage=USED, is_unpriceable=True))

    assert found.cost is None
    assert found.usage == {"input": 1000, "output": 500, "unpriceable": 1}


def test_under_a_hard_budget_what_no_rate_covers_is_charged_what_was_held() -> None:
    """Else the hold would be let go for nothing, and the budget passed without end."""
    call = replace(carried(), is_hard=True)

    found = bill.bill(call, Seen(usage=USED, is_unpriceable=True))
    inside = bill.bill(call, Seen(usage=USED, others=(SubUse("unheard-of", USED),)))

    assert (found.state, found.cost, inside.state) == ("uncertain", None, "uncertain")
    assert (found.input_tokens, found.usage) == (
        1000,
        {"input": 1000, "output": 500, "unpriceable": 1},
    )
    assert bill.bill(call, Seen(usage=USED)).state == "settled"


def test_the_providers_charge_wins_where_the_upstream_is_marked() -> None:
    seen = Seen(usage=USED, cost=Decimal("0.0000000000005"), upstream_cost=Decimal("0.4"))

    marked = billed(seen, is_cost_reported=True)

    assert (marked.cost, marked.cost_source) == ("0", "provider")
    assert [(line["token_class"], line["usd_amount"]) for line in marked.lines] == [
        ("input", "0.01"),
        ("output", "0.01"),
        ("provider_difference", "-0.02"),
    ]
    assert marked.usage is not None
    assert marked.usage["upstream_cost"] == "0.4"
    assert billed(seen).cost == "0.02"


def test_the_terms_of_the_upstream_are_kept_for_a_later_re_rating() -> None:
    plain, marked = billed(Seen(usage=USED)), billed(Seen(usage=USED), price_multiplier="0.945")

    assert plain.usage == {"input": 1000, "output": 500}
    assert marked.usage == {"input": 1000, "output": 500, "multiplier": "0.945"}


def test_a_charge_without_usage_is_the_cost_and_only_the_tokens_are_counted() -> None:
    found = billed(Seen(cost=Decimal("0.5"), text_bytes=10), is_cost_reported=True, hold="0.1")

    assert (found.cost, found.cost_source, found.is_estimated) == ("0.5", "provider", True)
    assert found.output_tokens == 5


def test_a_count_starts_from_the_input_that_was_stated() -> None:
    stated = Tokens(input=10, cache_read=90)

    found = billed(Seen(partial=stated, events=7, text_bytes=3), more_output=3)

    assert (found.input_tokens, found.cache_read_tokens, found.output_tokens) == (10, 90, 10)
    assert (found.cost_source, found.is_estimated) == ("count", True)
    assert billed(Seen(events=1)).input_tokens == 2000


@pytest.mark.parametrize("seen", [Seen(usage=Tokens()), Seen(), Seen(usage=USED, model="nobody")])
def test_a_free_call_costs_nothing_whatever_is_known_of_prices(seen: Seen) -> None:
    found = billed(seen, is_free=True, hold="0")

    assert (found.cost, found.state) == ("0", "settled")
    assert bill.given_up(carried(is_free=True)).state == "released"
