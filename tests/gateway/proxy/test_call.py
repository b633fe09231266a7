"""One call through the front door: attributed, held, carried, settled."""

import json
from decimal import Decimal

import httpx
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from gateway.keys import keyring
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, House, aside, asked, make_house

# 5 tokens read, 16 written, at 1 and 2 USD per million
COST = "0.000037"


async def test_a_call_is_answered_with_its_cost_and_booked_once(office: Client) -> None:
    answer = await office.chat("hi")

    assert answer.status_code == 200
    assert answer.headers["x-cost-usd"] == COST
    assert answer.headers["x-cost-center"] == "MARKETING"
    usage = answer.json()["usage"]
    assert (usage["cost_usd"], usage["cost_center"]) == (COST, "MARKETING")
    [call] = await office.calls()
    assert str(call["call_id"]) == answer.headers["x-request-id"] == usage["request_id"]
    assert (call["state"], call["cost"], call["cost_source"]) == ("settled", Decimal(COST), "usage")
    assert (call["input_tokens"], call["output_tokens"]) == (5, 16)
    assert call["upstream_request_id"] == f"req_{call['call_id']}"
    lines = await office.rows(
        "SELECT token_class, quantity, usd_amount FROM v1_ledger WHERE organization_id = %s ORDER BY 1"
    )
    assert [(line["token_class"], line["usd_amount"]) for line in lines] == [
        ("input", Decimal("0.000005")),
        ("output", Decimal("0.000032")),
    ]


async def test_a_stream_ends_with_its_cost_in_the_usage_the_client_asked_for(
    office: Client,
) -> None:
    answer = await office.chat("hi @tokens=3", stream=True, stream_options={"include_usage": True})

    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["usage"]["cost_usd"] == "0.000012"
    [call] = await office.calls()
    assert (call["state"], call["is_stream"], call["cost"]) == (
        "settled",
        True,
        Decimal("0.000012"),
    )


async def test_a_stream_hides_the_usage_that_only_the_gateway_asked_for(office: Client) -> None:
    answer = await office.chat("hi @tokens=3", stream=True)

    assert "usage" not in answer.text
    [call] = await office.calls()
    assert call["cost_source"] == "usage"


async def test_the_dimensions_of_header_and_body_are_booked_and_not_forwarded(
    office: Client,
) -> None:
    await office.house.make(factories.make_cost_center, code="SALES")

    await office.chat(
        headers={"X-Cost-Center": "SALES", "X-Feature": "search", "X-Tags": "team=a,x=y"},
        user_id="ada",
        request_path="/ask",
    )

    [call] = await office.calls()
    assert (call["cost_center_code"], call["feature"]) == ("SALES", "search")
    assert (call["user_id"], call["path"], call["tags"]) == ("ada", "/ask", {"team": "a", "x": "y"})


async def test_an_unknown_cost_center_is_refused_by_name(office: Client) -> None:
    answer = await office.chat(headers={"X-Cost-Center": "NOWHERE"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_cost_center")
    assert await office.calls() == []


async def test_a_pinned_key_lets_nobody_choose_another_cost_center(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, key={"is_cost_center_pinned": True})

    async with start(house) as (client, _, _):
        answer = await client.chat(headers={"X-Cost-Center": "SALES"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "attribution_not_allowed")


async def test_a_revoked_key_is_dead_at_its_next_admission(office: Client) -> None:
    assert (await office.chat()).status_code == 200
    key = {"key": office.house.key, "by": SYSTEM, "at": timezone.now()}
    await office.house.make(keyring.revoke, **key)

    answer = await office.chat()

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_keys_are_accepted_in_three_headers_and_two_different_ones_are_refused(
    office: Client,
) -> None:
    token, body = office.house.token, asked("hi")
    async with httpx.AsyncClient(base_url=office.url) as http:
        for header in ({"x-api-key": token}, {"x-goog-api-key": token}):
            answer = await http.post("/v1/chat/completions", json=body, headers=header)
            assert answer.status_code == 200
        both = {"x-api-key": token, "Authorization": "Bearer sk-other"}
        answer = await http.post("/v1/chat/completions", json=body, headers=both)
        in_url = await http.post(f"/v1/chat/completions?key={token}", json=body)

    assert answer.json()["error"]["code"] == "conflicting_credentials"
    assert in_url.status_code == 401


async def test_an_idempotency_key_carries_one_call(office: Client) -> None:
    key = {"Idempotency-Key": "once"}
    first = await office.chat("hi", headers=key)

    again = await office.chat("hi", headers=key)
    other = await office.chat("something else", headers=key)

    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_settled")
    assert again.json()["error"]["call_id"] == first.headers["x-request-id"]
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")
    assert len(await office.calls()) == 1


async def test_a_call_without_a_price_is_carried_and_its_cost_stays_unknown(
    office: Client,
) -> None:
    await office.house.make(factories.make_route, name="mystery", upstream=office.house.upstream)

    answer = await office.chat(model="mystery")

    assert answer.status_code == 200
    assert "x-cost-usd" not in answer.headers
    [call] = await office.calls()
    assert (call["state"], call["cost"]) == ("settled", None)


async def test_a_hard_budget_refuses_what_has_no_price_or_no_bound(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="1")
    await house.make(factories.make_route, name="mystery", upstream=house.upstream)

    async with start(house) as (client, _, provider):
        unpriced = await client.chat(model="mystery")
        unbounded = await client.chat(web_search_options={})

        assert provider.books.lines() == []
    assert (unpriced.status_code, unpriced.json()["error"]["code"]) == (422, "unpriced_model")
    assert unbounded.json()["error"]["code"] == "unbounded_request"
    assert unbounded.json()["error"]["param"] == "web_search_options"


async def test_an_unknown_model_is_not_found(office: Client) -> None:
    answer = await office.chat(model="nothing")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_model")


async def test_the_models_are_those_of_the_routes_that_the_key_may_use(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, key={"allowed_models": ["fake-*"]})
    await house.make(factories.make_route, name="other", upstream=house.upstream)

    async with start(house) as (client, _, _):
        listed = await client.http.get("/v1/models")
        refused = await client.chat(model="other")

    assert [model["id"] for model in listed.json()["data"]] == [MODEL]
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_a_repeated_key_in_the_body_is_refused(office: Client) -> None:
    raw = b'{"model":"fake-1","max_tokens":1,"max_tokens":9,"messages":[{"role":"user"}]}'

    answer = await office.http.post("/v1/chat/completions", content=raw)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_tokens")


async def test_with_headers_only_the_body_passes_byte_by_byte(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, key={"enrich": "headers"})

    async with start(house) as (client, _, _):
        answer = await client.chat()

    assert "cost_usd" not in answer.text
    assert answer.headers["x-cost-usd"] == COST
