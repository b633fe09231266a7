"""Which chunk of a stream gets its costs, and what waits with it for the settlement."""

import pytest

from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.protocols.wire import Costs

COSTS = Costs(cost_usd="0.001", cost_center="RND", request_id="r-1")
ADDED = b',"cost_usd":"0.001","cost_center":"RND","request_id":"r-1"'
USAGE = b'"usage":{"prompt_tokens":3,"completion_tokens":2}'
WORD = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
ALONE = b'data: {"choices":[],' + USAGE + b"}\n\n"
IN_LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],' + USAGE + b"}\n\n"
AFTER_LAST = b'data: {"choices":[{"delta":{"content":""},"finish_reason":null}],' + USAGE + b"}\n\n"
RUNNING = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}],' + USAGE + b"}\n\n"
MODERATION = b'data: {"choices":[],"moderation":{"flagged":false},"usage":null}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([WORD, END, ALONE, DONE], [ALONE, DONE]),
        ([WORD, IN_LAST, DONE], [IN_LAST, DONE]),
        ([WORD, END, AFTER_LAST, DONE], [AFTER_LAST, DONE]),
        ([WORD, END, ALONE, MODERATION, DONE], [ALONE, MODERATION, DONE]),
        ([RUNNING, RUNNING, IN_LAST, ALONE, DONE], [ALONE, DONE]),
    ],
)
def test_the_last_usage_waits_and_gets_the_costs(events: list[bytes], held: list[bytes]) -> None:
    meter = Meter(hides_usage=False)

    out = b"".join([meter.feed(event) for event in events])
    tail = meter.tail(COSTS)

    assert out == b"".join(events[: -len(held)])
    assert tail.count(ADDED) == 1
    assert tail.replace(ADDED, b"") == b"".join(held)


def test_a_running_count_never_waits() -> None:
    meter = Meter(hides_usage=False)

    assert meter.feed(RUNNING) == RUNNING
    assert meter.seen.usage is not None
