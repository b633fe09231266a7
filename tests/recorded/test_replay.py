"""Every recorded answer through the running gateway: what clients see and what is booked."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from attribution.outbound.addresses import Exceptions, Origin
from attribution.prices.tokens import Tokens
from gateway.proxy.upstream.client import Client, Request
from tests.fakes.recorded import cut
from tests.recorded import cases
from tests.recorded.cases import Case
from tests.recorded.exceptions import NOT_OFFERED, REFUSED
from tests.recorded.places import place_of
from tests.recorded.replaying import SECRET, WAYS, Replay, Theatre
from tests.recorded.test_formats import body_of, classes

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATED = "computed", "provider_reported", "ambiguous", "unpriced"
NONE_STATED = "no_usage_reported", "usage_not_in_body"
ADDED = re.compile(
    rb',?"cost_usd":(null|"[^"]*"),"cost_center":(?:null|"[^"]*"),"request_id":"[^"]*"'
)
PLAIN = {way for way, (enrich, _) in WAYS.items() if enrich == "headers"}
TWELVE = Decimal("0.000000000001")


def played(*kinds: str) -> list[Any]:
    """Return the cases of these kinds that the gateway relays, as test parameters."""
    left_out = NOT_OFFERED.keys() | REFUSED.keys()
    found = cases.parameters(*kinds)
    return [one for one in found if not one.values[0] or one.values[0]["id"] not in left_out]


every_answer = pytest.mark.parametrize("case", played(*STATED, *NONE_STATED))


def record_of(replay: Replay) -> dict[str, Any]:
    """Return what was booked."""
    assert replay.record is not None
    return replay.record


def events(raw: bytes) -> list[Any]:
    """Return the events of a stream, read where they are JSON."""
    found: list[Any] = []
    for part in raw.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = part.partition(b"data: ")[2]
        found.append(json.loads(data) if data.startswith(b"{") else part)
    return found


def without_usage(raw: bytes) -> list[Any]:
    """Return the events that a client sees who did not ask for the usage of its stream."""
    seen = []
    for event in events(raw):
        if not isinstance(event, dict) or "usage" not in event:
            seen.append(event)
        elif event["choices"] or event["usage"] is None:
            seen.append({name: value for name, value in event.items() if name != "usage"})
    return seen


def hides_usage(case: Case) -> bool:
    """Tell whether the stream's usage was asked for by the gateway alone."""
    is_chat = re.search(r"(chat|completions)_stream$", case["format"])
    asked = (cases.load(case)["request"]["body"] or {}).get("stream_options") or {}
    return bool(is_chat) and not asked.get("include_usage")


@every_answer
async def test_the_body_reaches_the_client_unchanged(case: Case, theatre: Theatre) -> None:
    body = body_of(case)

    for way in PLAIN:
        replay = await theatre.replay(case, way)
        assert (way, replay.status) == (way, 200)
        if hides_usage(case):
            assert (way, events(replay.body)) == (way, without_usage(body))
        else:
            assert (way, replay.body) == (way, body)


@every_answer
async def test_costs_are_added_to_the_usage_and_nothing_else_changes(
    case: Case, theatre: Theatre
) -> None:
    body, has_usage = body_of(case), case["expect"]["usage"] is not None

    for way in WAYS.keys() - PLAIN:
        replay = await theatre.replay(case, way)
        if hides_usage(case):
            assert (way, events(replay.body)) == (way, without_usage(body))
            continue
        stated = [json.loads(text) for text in ADDED.findall(replay.body)]
        costs = [None if text is None else Decimal(text) for text in stated]
        assert (way, ADDED.sub(b"", replay.body)) == (way, body)
        assert (way, costs) == (way, [record_of(replay)["cost"]] if has_usage else [])


@pytest.mark.parametrize("case", played(*STATED))
async def test_the_books_hold_the_usage_of_each_class(case: Case, theatre: Theatre) -> None:
    tokens = classes(case["expect"]["usage"])

    for way in WAYS:
        record = record_of(await theatre.replay(case, way))
        booked = {k.removesuffix("_tokens"): v for k, v in record.items() if k.endswith("_tokens")}
        assert (way, record["state"], record["error_code"]) == (way, "settled", "")
        assert (way, record["is_estimated"]) == (way, False)
        assert (way, Tokens.from_mapping(booked)) == (way, tokens)


@pytest.mark.parametrize("case", played(*STATED))
async def test_the_books_hold_the_exact_cost(case: Case, theatre: Theatre) -> None:
    expect = case["expect"]
    cost = None if expect["cost_usd"] is None else Decimal(expect["cost_usd"]).quantize(TWELVE)
    source = "provider" if expect["kind"] == "provider_reported" else "usage"

    for way in WAYS:
        record = record_of(await theatre.replay(case, way))
        assert (way, record["cost"], record["cost_source"]) == (way, cost, source)


@every_answer
async def test_the_books_name_what_answered(case: Case, theatre: Theatre) -> None:
    asked, answered = theatre.places[case["id"]].model, case["response_model"] or ""
    model = answered.removeprefix("models/") or asked
    tier = case["expect"].get("service_tier")

    for way in WAYS:
        record = record_of(await theatre.replay(case, way))
        assert (way, record["model_requested"]) == (way, case["id"])
        assert (way, record["model_billed"]) == (way, model)
        assert (way, record["is_stream"]) == (way, case["format"].endswith("_stream"))
        assert tier is None or (way, record["service_tier"]) == (way, tier)


@pytest.mark.parametrize("case", played(*NONE_STATED))
async def test_a_call_without_usage_is_counted_and_says_so(case: Case, theatre: Theatre) -> None:
    for way in WAYS:
        record = record_of(await theatre.replay(case, way))
        assert (way, record["state"], record["is_estimated"]) == (way, "settled", True)
        assert 0 < record["cost"] <= record["hold_amount"]


@pytest.mark.parametrize("case", played("error"))
async def test_an_error_reaches_the_client_as_it_is_and_costs_nothing(
    case: Case, theatre: Theatre
) -> None:
    response, body = cases.load(case)["response"], body_of(case)

    for way in ("whole", "cut", "enriched"):
        replay = await theatre.replay(case, way)
        record = record_of(replay)
        assert (way, replay.status, replay.body) == (way, response["status"], body)
        for name in ("retry-after", "retry-after-ms", "x-should-retry"):
            assert replay.headers.get_list(name) == response["headers"].get(name, [])
        assert (way, record["state"], record["cost"]) == (way, "released", 0)


@pytest.mark.parametrize("case", played(*STATED, *NONE_STATED, "error"))
async def test_the_provider_hears_its_own_model_path_and_credential(
    case: Case, theatre: Theatre
) -> None:
    replay, place = await theatre.replay(case), theatre.places[case["id"]]

    assert replay.heard is not None
    said = " ".join(replay.heard.headers.values())
    assert replay.heard.path == place.sent
    assert replay.heard.body.get("model", place.model).removeprefix("models/") == place.model
    assert said.count(SECRET) == 1
    assert not [token for token in theatre.tokens.values() if token in said]


async def test_every_cut_arrives_as_a_border_of_its_own(theatre: Theatre) -> None:
    """Without this the replays with cuts would prove no more than those without."""
    case = next(one for one in cases.manifest() if one["format"] == "openai_chat_stream")
    address = Exceptions((f"127.0.0.1:{theatre.port}",))
    client, theatre.provider.seed = Client(exceptions=address), 1
    parts = []

    request = Request(Origin("http", "127.0.0.1", theatre.port), f"/{case['id']}/x", [], b"{}")
    response = await client.open(request)
    while part := await response.next():
        parts.append(part)
    client.close()

    assert parts == list(cut(body_of(case), f"{case['id']} 1"))
    assert len(parts) > 2


async def test_the_exceptions_are_exactly_these(theatre: Theatre) -> None:
    """What the gateway does not relay is listed, and whatever is listed it does not relay."""
    every = {case["id"]: case for case in cases.manifest()}
    unplaced = {name for name, case in every.items() if place_of(cases.load(case)) is None}
    refused = {}
    for name in every.keys() - unplaced:
        replay = await theatre.replay(every[name])
        if replay.heard is None:
            refused[name] = replay.body.decode()

    assert len(every) == 231
    assert unplaced == NOT_OFFERED.keys()
    assert refused.keys() == REFUSED.keys()
    assert [name for name, (code, _) in REFUSED.items() if code not in refused[name]] == []
