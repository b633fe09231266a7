"""The bound is never below what a call can cost."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.prices.pricing import Rates, cost
from attribution.prices.tokens import Tokens
from gateway.proxy.bound import LEAST_OUTPUT, Limits, bound, fitted, hold
from gateway.proxy.protocols import openai_chat, strict_json
from gateway.proxy.protocols.wire import Asked, InvalidRequestError, Sending, Size

RATES = Rates({"input": Decimal("2.5"), "cache_read": Decimal("0.25"), "output": Decimal("10")})
SIZE = Size(text_bytes=100, messages=2, tools=0)
ASKED = Asked({}, "m", max_output=50)
NONE = Limits()


def test_input_is_bounded_by_bytes_and_what_the_template_adds() -> None:
    assert bound(ASKED, SIZE, NONE).input_tokens == 100 + 64 + 2 * 16
    assert bound(ASKED, replace(SIZE, tools=1), NONE).input_tokens == 196 + 512 + 64


def test_input_is_never_more_than_the_context_window() -> None:
    assert bound(ASKED, SIZE, Limits(context_window=120)).input_tokens == 120


def test_media_counts_as_the_whole_context_window() -> None:
    image = replace(SIZE, media="messages[0].content[1]")

    assert bound(ASKED, image, Limits(context_window=128_000)).input_tokens == 128_000
    assert bound(ASKED, image, NONE).unbounded == "messages[0].content[1]"


def test_each_round_of_a_servers_tool_may_read_the_whole_window() -> None:
    searching = replace(SIZE, rounds=4)

    assert bound(ASKED, searching, Limits(context_window=1000)).input_tokens == 4000
    assert bound(ASKED, searching, NONE).unbounded == "tools"


def test_output_is_the_clients_limit_times_the_choices() -> None:
    found = bound(replace(ASKED, choices=3), replace(SIZE, extra_output=7), NONE)

    assert (found.max_output, found.output_tokens) == (50, 157)


@pytest.mark.parametrize(
    ("stated", "limits", "sent"),
    [
        (None, Limits(model_output=4096), 4096),
        (None, Limits(model_output=4096, key_output=1000), 1000),
        (None, Limits(key_output=1000), 1000),
        (2000, Limits(key_output=1000), 1000),
        (500, Limits(model_output=4096, key_output=1000), 500),
    ],
)
def test_a_limit_is_always_sent_and_never_above_the_keys(
    stated: int | None, limits: Limits, sent: int
) -> None:
    assert bound(replace(ASKED, max_output=stated), SIZE, limits).max_output == sent


def test_without_any_limit_the_context_window_bounds_the_output() -> None:
    found = bound(replace(ASKED, max_output=None), SIZE, Limits(context_window=8192))

    assert (found.max_output, found.output_tokens, found.unbounded) == (None, 8192, None)


def test_a_call_without_a_bound_names_the_field() -> None:
    assert bound(replace(ASKED, max_output=None), SIZE, NONE).unbounded == "max_tokens"
    assert bound(ASKED, replace(SIZE, unbounded="tools[0].type"), NONE).unbounded == "tools[0].type"
    assert bound(ASKED, SIZE, NONE).unbounded is None


def test_a_hold_takes_the_dearest_class_of_each_side_and_rounds_up() -> None:
    found = bound(ASKED, SIZE, NONE)

    assert hold(found, RATES) == Decimal("0.00099")
    tiny = Rates({"input": Decimal("0.000001"), "output": Decimal(0)})
    assert hold(found, tiny) == Decimal("0.000000000196")
    dear = Rates({**RATES.by_class, "reasoning": Decimal("40")})
    assert hold(found, dear) == Decimal("0.00249")


def test_fees_are_part_of_the_hold() -> None:
    rates = Rates({**RATES.by_class, "searches": Decimal("0.01"), "requests": Decimal("0.005")})

    found = bound(ASKED, replace(SIZE, web_searches=3), NONE)

    assert hold(found, rates) == Decimal("0.03599")


@given(
    st.integers(0, 196),
    st.integers(0, 196),
    st.integers(0, 50),
    st.dictionaries(
        st.sampled_from(["cache_read", "cache_write", "reasoning", "output"]),
        st.decimals(0, 100, places=6),
    ),
)
def test_no_call_within_its_bound_costs_more_than_its_hold(
    cached: int, written: int, reasoning: int, extra: dict[str, Decimal]
) -> None:
    rates = Rates({**RATES.by_class, **extra})
    cached = min(cached, 196 - written)
    tokens = Tokens(
        input=196 - cached - written,
        cache_read=cached,
        cache_write=written,
        output=50 - reasoning,
        reasoning=reasoning,
    )

    spent = cost(tokens, rates)

    assert spent is not None
    assert spent.total <= hold(bound(ASKED, SIZE, NONE), rates)


@given(st.decimals(0, "0.002", places=12), st.integers(1, 4))
def test_a_clamped_call_fits_and_uses_what_is_there(available: Decimal, choices: int) -> None:
    whole = bound(replace(ASKED, choices=choices), SIZE, NONE)

    found = fitted(whole, RATES, available)

    if found is None:
        assert hold(whole.with_output(LEAST_OUTPUT), RATES) > available
        return
    assert found.max_output is not None
    assert hold(found, RATES) <= available
    assert LEAST_OUTPUT <= found.max_output <= 50
    if found.max_output < 50:
        assert hold(found.with_output(found.max_output + 1), RATES) > available


def test_fitting_never_raises_what_was_asked_for() -> None:
    short = bound(replace(ASKED, max_output=5), SIZE, NONE)

    assert fitted(short, RATES, hold(short, RATES)) == short
    assert fitted(short, RATES, hold(short, RATES) - Decimal("0.000000000001")) is None


def test_an_answer_without_a_stated_limit_gets_one_to_fit() -> None:
    whole = bound(replace(ASKED, max_output=None), SIZE, Limits(context_window=1000))

    found = fitted(whole, RATES, hold(whole.with_output(300), RATES))

    assert found is not None
    assert (whole.max_output, found.max_output) == (None, 300)


def test_what_has_no_output_is_not_shortened() -> None:
    vectors = bound(ASKED, replace(SIZE, output_classes=()), NONE)

    assert fitted(vectors, RATES, hold(vectors, RATES)) == vectors
    assert fitted(vectors, RATES, Decimal(0)) is None


TWO_LIMITS = b"""{"model":"m","messages":[{"role":"user","content":"hi"}],
"max_tokens":1,"max_tokens":100000}"""


def test_a_call_with_two_limits_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        openai_chat.parse_request(TWO_LIMITS, {})


def test_control_a_lenient_parser_lets_two_limits_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "load_object", json.loads)

    request = openai_chat.parse_request(TWO_LIMITS, {})

    # The guard gone, one limit is silently believed; what is sent holds the same one only.
    assert bound(request, SIZE, NONE).max_output == 100_000
    assert openai_chat.outgoing(request, Sending("m")).count(b"max_tokens") == 1
    assert TWO_LIMITS.count(b"max_tokens") == 2
