"""Refusals have one code, one status and a body in the caller's own wire format."""

import json

import pytest

from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Dialect

# What the documents promise to programs: code → status and whether to come again.
PROMISED = {
    "invalid_api_key": (401, False),
    "budget_exceeded": (402, False),
    "model_not_allowed": (403, False),
    "attribution_not_allowed": (403, False),
    "blocked": (403, False),
    "unknown_model": (404, False),
    "body_timeout": (408, True),
    "request_in_progress": (409, True),
    "already_settled": (409, False),
    "outcome_unknown": (409, False),
    "body_too_large": (413, False),
    "unsupported_encoding": (415, False),
    "unbounded_request": (422, False),
    "unpriced_model": (422, False),
    "idempotency_mismatch": (422, False),
    "budget_reserved": (429, True),
    "rate_limited": (429, True),
    "upstream_unreachable": (502, True),
    "upstream_error": (502, False),
    "ledger_unavailable": (503, True),
    "upstream_timeout": (504, False),
    "invalid_request": (400, False),
    "unknown_cost_center": (400, False),
    "conflicting_credentials": (400, False),
}


@pytest.mark.parametrize("code", PROMISED)
def test_every_promised_code_has_its_status(code: str) -> None:
    refusal = errors.REFUSALS[code]

    assert (refusal.status, refusal.should_retry) == PROMISED[code]


@pytest.mark.parametrize("code", errors.REFUSALS)
def test_every_refusal_says_whether_to_come_again(code: str) -> None:
    headers = dict(errors.headers(code, retry_after=3))

    retries = errors.REFUSALS[code].should_retry
    assert headers[b"x-should-retry"] == (b"true" if retries else b"false")
    assert headers.get(b"retry-after") == (b"3" if retries else None)


def test_the_waits_that_are_promised_stand_without_being_asked_for() -> None:
    assert (b"retry-after", b"2") in errors.headers("request_in_progress")
    assert (b"retry-after", b"1") in errors.headers("budget_reserved")


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (
            "openai",
            {
                "error": {
                    "message": "Too much.",
                    "type": "insufficient_quota",
                    "param": None,
                    "code": "budget_exceeded",
                    "budget": {"limit": "1"},
                }
            },
        ),
        (
            "anthropic",
            {
                "type": "error",
                "error": {
                    "type": "billing_error",
                    "message": "Too much.",
                    "code": "budget_exceeded",
                    "budget": {"limit": "1"},
                },
                "request_id": "r-1",
            },
        ),
        (
            "gemini",
            {
                "error": {
                    "code": 402,
                    "message": "Too much.",
                    "status": "PERMISSION_DENIED",
                    "reason": "budget_exceeded",
                    "budget": {"limit": "1"},
                }
            },
        ),
    ],
)
def test_a_refusal_speaks_the_callers_format(dialect: Dialect, expected: object) -> None:
    budget = {"limit": "1"}

    raw = errors.body(dialect, "budget_exceeded", "Too much.", request_id="r-1", budget=budget)

    assert json.loads(raw) == expected


def test_a_cut_stream_is_told_in_the_words_of_its_format() -> None:
    def told(name: str, dialect: Dialect) -> bytes:
        return errors.event(name, dialect, "upstream_timeout", "Too late.", request_id="r-1")

    assert told("openai_chat", "openai").startswith(b'data: {"error":{"message":"Too late."')
    assert told("openai_responses", "openai") == (
        b'event: error\ndata: {"type":"error","code":"upstream_timeout","message":"Too late."}\n\n'
    )
    assert told("anthropic_messages", "anthropic").startswith(
        b'event: error\ndata: {"type":"error"'
    )
    assert told("gemini_generate", "gemini").startswith(b'data: {"error":{"code":504')
