"""Real answers of OpenAI and its imitators are metered to the last token."""

import base64
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import openai_chat
from gateway.proxy.protocols.wire import Asked, Costs, Seen

DATA = Path(os.environ.get("TOLLKEEPER_DATA", Path(__file__).parents[2] / "../shared/data"))
MANIFEST = DATA / "cassettes/manifest.json"
MAKERS = ("openai", "azure_openai", "deepseek", "groq", "mistral", "xai", "openrouter")
FORMATS = {f"{maker}_chat{kind}" for maker in MAKERS for kind in ("", "_stream")}
COSTS = Costs(cost_usd="0.001", cost_center="RND", request_id="r-1")


def cases() -> list[dict[str, Any]]:
    """Return the recorded cases of this format."""
    if not MANIFEST.exists():
        return []
    found: list[dict[str, Any]] = json.loads(MANIFEST.read_text())["cases"]
    return [case for case in found if case["format"] in FORMATS]


CASES = cases()
every_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def body_of(case: dict[str, Any]) -> bytes:
    """Return the recorded bytes of an answer."""
    response = json.loads((MANIFEST.parent / case["file"]).read_text())["response"]
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"])
    body = response["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def is_stream(case: dict[str, Any]) -> bool:
    """Tell whether the recorded answer is a stream."""
    return str(case["format"]).endswith("_stream")


def metered(body: bytes, step: int, *, wants_usage: bool = True) -> tuple[Seen, bytes]:
    """Feed a stream in pieces; return what was seen and what went out."""
    meter = openai_chat.meter(Asked({}, "m", is_stream=True, wants_usage=wants_usage))
    out = [meter.feed(body[i : i + step]) for i in range(0, len(body), step)]
    meter.end()
    return meter.seen, b"".join([*out, meter.tail(None)])


def expected(usage: dict[str, Any]) -> Tokens:
    """Put the recorded expectation into disjoint classes."""
    return Tokens(
        input=usage["input_uncached"] - usage["audio_in"],
        cache_read=usage["cache_read"] - usage["audio_cache_read"],
        cache_write=usage["cache_write"] - usage["cache_write_1h"],
        cache_write_1h=usage["cache_write_1h"],
        output=usage["output"] - usage["reasoning"] - usage["audio_out"],
        reasoning=usage["reasoning"],
        audio_input=usage["audio_in"],
        audio_cache_read=usage["audio_cache_read"],
        audio_output=usage["audio_out"],
    )


def test_the_recorded_answers_are_there() -> None:
    if not CASES:
        pytest.skip(f"no recorded provider answers at {DATA} (TOLLKEEPER_DATA)")

    assert {case["format"] for case in CASES} == FORMATS


@every_case
def test_usage_equals_what_was_recorded(case: dict[str, Any]) -> None:
    body = body_of(case)

    seen = metered(body, 1000)[0] if is_stream(case) else openai_chat.read_answer(body)

    usage = case["expect"]["usage"]
    assert seen.usage == (expected(usage) if usage else None)
    assert seen.is_error is False
    if usage is None:
        assert seen.visible_output() > 0


@every_case
def test_the_billed_model_and_tier_are_read_from_the_answer(case: dict[str, Any]) -> None:
    body = body_of(case)

    seen = metered(body, 1000)[0] if is_stream(case) else openai_chat.read_answer(body)

    assert seen.model == case["response_model"]
    if case["expect"].get("service_tier"):
        assert seen.service_tier == case["expect"]["service_tier"]


@every_case
def test_the_charge_of_a_provider_is_read_exactly(case: dict[str, Any]) -> None:
    body = body_of(case)
    expect = case["expect"]

    seen = metered(body, 1000)[0] if is_stream(case) else openai_chat.read_answer(body)

    charge = Decimal(expect["cost_usd"]) if expect["kind"] == "provider_reported" else None
    assert seen.cost == charge


@every_case
def test_recorded_streams_pass_byte_identical_at_any_chunk_border(case: dict[str, Any]) -> None:
    if not is_stream(case):
        return
    body = body_of(case)
    whole = metered(body, len(body))[0]

    for step in (1, 7, 64, 4096):
        seen, out = metered(body, step)
        assert out == body
        assert seen == whole


@every_case
def test_a_client_that_asked_for_no_usage_sees_none(case: dict[str, Any]) -> None:
    if not is_stream(case):
        return

    seen, out = metered(body_of(case), 500, wants_usage=False)

    assert seen.usage == metered(body_of(case), 500)[0].usage
    for event in out.split(b"\n\n"):
        if event.startswith(b"data: {"):
            assert "usage" not in json.loads(event[6:])


@every_case
def test_costs_join_the_usage_and_change_nothing_else(case: dict[str, Any]) -> None:
    if is_stream(case):
        return
    body = body_of(case)

    enriched = json.loads(openai_chat.enrich(body, COSTS))

    for name, value in COSTS.members().items():
        assert enriched["usage"].pop(name) == value
    assert enriched == json.loads(body)
