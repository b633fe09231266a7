"""OpenAI's streams: relayed as they come, usage read, hidden or enriched, the end held back."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.protocols.wire import Costs, Seen

COSTS = Costs(cost_usd="0.0000015", cost_center="RND", request_id="r-1")
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def event(**members: Any) -> bytes:
    """Return one event of a stream."""
    body = {"model": "m-1", "choices": [], **members}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def says(text: str, **members: Any) -> bytes:
    """Return an event with a word."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event(choices=[choice], **members)


STOP = {"index": 0, "delta": {}, "finish_reason": "stop"}
DONE = b"data: [DONE]\n\n"


def run(meter: Meter, *events: bytes) -> bytes:
    """Feed events; return what went out before the end."""
    out = b"".join(meter.feed(one) for one in events)
    meter.end()
    return out


def test_a_stream_goes_out_as_it_came_and_its_end_is_held() -> None:
    meter = Meter(hides_usage=False)
    last = event(usage=USAGE)

    out = run(meter, says("a", usage=None), event(choices=[STOP], usage=None), last, DONE)

    assert out == says("a", usage=None) + event(choices=[STOP], usage=None)
    assert meter.is_complete
    assert meter.seen == Seen(
        usage=Tokens(input=10, output=4),
        partial=Tokens(input=10),
        model="m-1",
        events=1,
        text_bytes=1,
    )
    assert meter.tail(None) == last + DONE


def test_the_final_usage_event_carries_the_costs() -> None:
    meter = Meter(hides_usage=False)
    run(meter, says("a"), event(usage=USAGE), DONE)

    tail = meter.tail(COSTS)

    shown = json.loads(tail.split(b"\n\n")[0][6:])["usage"]
    assert shown == {**USAGE, **COSTS.members()}
    assert tail.endswith(DONE)


def test_a_client_that_did_not_ask_sees_the_stream_it_asked_for() -> None:
    meter = Meter(hides_usage=True)

    out = run(meter, says("a", usage=None), event(choices=[STOP], usage=None), event(usage=USAGE))

    assert out == says("a") + event(choices=[STOP])
    assert meter.tail(COSTS) == b""
    assert meter.seen.usage == Tokens(input=10, output=4)


def test_usage_beside_choices_is_read_and_hidden() -> None:
    meter = Meter(hides_usage=True)

    out = run(meter, event(choices=[STOP], usage=USAGE), DONE)

    assert out == event(choices=[STOP])
    assert meter.seen.usage == Tokens(input=10, output=4)


def test_text_that_looks_like_a_usage_member_stays() -> None:
    meter = Meter(hides_usage=True)
    text = ',"usage":null'

    out = run(meter, says(text, usage=None))

    assert out == says(text)


def test_running_usage_is_not_held_and_the_last_value_wins() -> None:
    meter = Meter(hides_usage=False)
    first, second = says("a", usage=USAGE), says("b", usage={**USAGE, "completion_tokens": 5})

    assert run(meter, first, second, b"data: [DONE]\n\n").startswith(first + second)
    assert meter.seen.usage == Tokens(input=10, output=5)


def test_an_error_inside_a_stream_is_an_error() -> None:
    meter = Meter(hides_usage=False)

    out = run(meter, b'data: {"error":{"message":"overloaded"}}\n\n')

    assert out.startswith(b'data: {"error"')
    assert meter.seen.is_error


@pytest.mark.parametrize("junk", [b"data: {nonsense\n\n", b": hello\n\n", b"\n\n", b"data: 5\n\n"])
def test_malformed_events_are_relayed(junk: bytes) -> None:
    meter = Meter(hides_usage=False)

    assert run(meter, junk, says("a")) == junk + says("a")
    assert meter.seen.events == 1


def test_a_usage_that_the_upstream_did_not_finish_is_still_read() -> None:
    meter = Meter(hides_usage=False)
    last = event(usage=USAGE).rstrip()

    assert run(meter, last) == b""
    assert meter.seen.usage == Tokens(input=10, output=4)
    assert meter.tail(None) == last


def test_nothing_goes_out_after_the_end_mark() -> None:
    meter = Meter(hides_usage=False)

    run(meter, DONE, says("more"), event(usage=USAGE))

    assert meter.tail(None) == DONE
    assert meter.seen.usage is None
