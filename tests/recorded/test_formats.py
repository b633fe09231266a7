"""Real answers in every format but chat: metered to the last token, relayed to the last byte."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import (
    anthropic_messages,
    gemini_embeddings,
    gemini_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Seen, Sending
from tests.recorded import cases

FORMATS: dict[str, Format] = {
    "openai_completions": openai_completions,
    "openai_responses": openai_responses,
    "xai_responses": openai_responses,
    "openai_embeddings": openai_embeddings,
    "azure_openai_embeddings": openai_embeddings,
    "mistral_embeddings": openai_embeddings,
    "anthropic_messages": anthropic_messages,
    "gemini_generate": gemini_generate,
    "gemini_embeddings": gemini_embeddings,
}
COSTS = Costs(cost_usd="0.001", cost_center="RND", request_id="r-1")
# The model stands in a prompt that the provider keeps: such a request cannot be bounded.
WITHOUT_A_MODEL = {"openai_responses-responses-reasoning"}


def of(*, is_stream: bool | None = None) -> list[Any]:
    """Return the recorded cases of these formats as test parameters."""
    found = cases.parameters(
        "computed",
        "provider_reported",
        "ambiguous",
        "unpriced",
        "usage_not_in_body",
        "no_usage_reported",
    )
    if not cases.manifest():
        return found
    mine = [p for p in found if p.values[0]["format"].removesuffix("_stream") in FORMATS]
    return [p for p in mine if is_stream in (None, streams(p.values[0]))]


def streams(case: cases.Case) -> bool:
    """Tell whether the recorded answer is a stream."""
    return str(case["format"]).endswith("_stream")


def format_of(case: cases.Case) -> Format:
    """Return the format that reads a case."""
    return FORMATS[case["format"].removesuffix("_stream")]


def body_of(case: cases.Case) -> bytes:
    """Return the recorded bytes of an answer."""
    response = cases.load(case)["response"]
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"])
    body = response["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def path_of(case: cases.Case) -> dict[str, str]:
    """Return the variables of a recorded URL."""
    url, _, query = case["url"].partition("?")
    if "/models/" not in url:
        return {}
    model, _, method = url.partition("/models/")[2].rpartition(":")
    return {"model": model, "method": method, "alt": query.removeprefix("alt=")}


def asked(case: cases.Case) -> Asked:
    """Parse the recorded request as ours."""
    body = cases.load(case)["request"]["body"]
    raw = body if isinstance(body, str) else json.dumps(body)
    return format_of(case).parse_request(raw.encode(), path_of(case))


def metered(case: cases.Case, chunks: list[bytes]) -> tuple[Seen, bytes, bytes]:
    """Feed chunks; return what was seen, what went out at once and what was held."""
    meter = format_of(case).meter(asked(case))
    out = b"".join([meter.feed(chunk) for chunk in chunks])
    meter.end()
    assert meter.is_complete
    return meter.seen, out, meter.tail(None)


def pieces(body: bytes, step: int) -> list[bytes]:
    """Cut a body into pieces of one size."""
    return [body[i : i + step] for i in range(0, len(body), step)]


def seen_in(case: cases.Case) -> Seen:
    """Return what a case's answer says."""
    body = body_of(case)
    if streams(case):
        return metered(case, pieces(body, 1000))[0]
    return format_of(case).read_answer(body)


def classes(usage: dict[str, Any]) -> Tokens:
    """Put a recorded expectation into disjoint classes."""
    return Tokens(
        input=usage["input_uncached"] - usage.get("audio_in", 0),
        cache_read=usage["cache_read"] - usage.get("audio_cache_read", 0),
        cache_write=usage["cache_write"] - usage.get("cache_write_1h", 0),
        cache_write_1h=usage.get("cache_write_1h", 0),
        output=usage["output"] - usage.get("reasoning", 0) - usage.get("audio_out", 0),
        reasoning=usage.get("reasoning", 0),
        audio_input=usage.get("audio_in", 0),
        audio_cache_read=usage.get("audio_cache_read", 0),
        audio_output=usage.get("audio_out", 0),
    )


@pytest.mark.parametrize("case", of())
def test_usage_equals_what_was_recorded(case: cases.Case) -> None:
    expect = case["expect"]
    usage = expect["usage"]

    seen = seen_in(case)

    assert seen.usage == (classes(usage) if usage else None)
    assert (seen.is_error, seen.is_unpriceable) == (False, False)
    searches = sum(
        n for name, n in ((usage or {}).get("tool_requests") or {}).items() if "search" in name
    )
    assert seen.web_searches == searches
    others = [(sub["model"], classes(sub)) for sub in (usage or {}).get("extra_models", ())]
    assert list(seen.others) == others


@pytest.mark.parametrize("case", of())
def test_the_billed_model_and_tier_are_read_from_the_answer(case: cases.Case) -> None:
    seen = seen_in(case)

    assert seen.model == ((case["response_model"] or "").removeprefix("models/") or None)
    assert seen.service_tier == case["expect"].get("service_tier")


@pytest.mark.parametrize("case", of())
def test_the_charge_of_a_provider_is_read_exactly(case: cases.Case) -> None:
    expect = case["expect"]
    is_stated = expect["kind"] == "provider_reported"

    assert seen_in(case).cost == (Decimal(expect["cost_usd"]) if is_stated else None)


@pytest.mark.parametrize("case", of(is_stream=True))
def test_recorded_streams_pass_byte_identical_at_any_chunk_border(case: cases.Case) -> None:
    body = body_of(case)
    whole = metered(case, [body])[0]

    for step in (1, 7, 64, 4096):
        seen, out, held = metered(case, pieces(body, step))
        assert out + held == body
        assert held
        assert seen == whole


@pytest.mark.parametrize("case", of(is_stream=True))
def test_recorded_streams_may_be_cut_in_two_anywhere(case: cases.Case) -> None:
    body = body_of(case)
    whole = metered(case, [body])[0]
    every = 1 if len(body) < 4000 else len(body) // 100

    for place in range(1, len(body), every):
        seen, out, held = metered(case, [body[:place], body[place:]])
        assert (out + held, seen) == (body, whole)


@pytest.mark.parametrize("case", of(is_stream=True))
def test_the_end_of_a_stream_carries_the_costs_and_changes_nothing_else(case: cases.Case) -> None:
    body = body_of(case)
    meter = format_of(case).meter(asked(case))
    out = b"".join([meter.feed(chunk) for chunk in pieces(body, 500)])
    meter.end()

    enriched = out + meter.tail(COSTS)

    added = b',"cost_usd":"0.001","cost_center":"RND","request_id":"r-1"'
    assert enriched.count(added) == 1
    assert enriched.replace(added, b"") == body


@pytest.mark.parametrize("case", of(is_stream=False))
def test_costs_join_the_usage_and_change_nothing_else(case: cases.Case) -> None:
    body = body_of(case)
    key = "usageMetadata" if case["format"].startswith("gemini") else "usage"

    enriched = json.loads(format_of(case).enrich(body, COSTS))

    if key not in json.loads(body):
        assert enriched == json.loads(body)
        return
    for name, value in COSTS.members().items():
        assert enriched[key].pop(name) == value
    assert enriched == json.loads(body)


@pytest.mark.parametrize("case", of())
def test_recorded_requests_are_understood_and_sent_on(case: cases.Case) -> None:
    if case["id"] in WITHOUT_A_MODEL:
        with pytest.raises(InvalidRequestError):
            asked(case)
        return
    request, wire, sending = asked(case), format_of(case), Sending("other", max_output=9)
    sent = json.loads(wire.outgoing(request, sending))

    assert (request.model, request.is_stream) == (case["request_model"], streams(case))
    assert wire.size(request).text_bytes > 0
    path = wire.upstream_path(request, sending)
    assert path.startswith("/models/other:") or sent["model"] == "other"


@pytest.mark.parametrize("case", cases.parameters("error"))
def test_recorded_errors_use_nothing(case: cases.Case) -> None:
    body = body_of(case)
    if case["http_status"] != 200:
        readers: list[Format] = [openai_chat, *FORMATS.values()]
        seen = [reader.read_answer(body) for reader in readers]
    else:
        readers = [openai_chat, openai_responses]
        reader = readers["responses" in case["id"]]
        meter = reader.meter(Asked({}, "m", is_stream=True))
        assert meter.feed(body) + meter.tail(None) == body
        seen = [meter.seen]
        assert meter.seen.is_error

    assert [one.usage for one in seen] == [None] * len(seen)
    assert [one.cost for one in seen] == [None] * len(seen)
