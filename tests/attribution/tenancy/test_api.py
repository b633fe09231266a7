"""The JSON API's own rules: strict bodies, and errors that say what they are."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import NotAuthenticated

from attribution.tenancy import api
from attribution.tenancy.api import ApiError


def told(error: Exception) -> tuple[int, str]:
    """Return status and code of the answer to an error."""
    found = api.refusal(error)
    assert found is not None
    return found.status_code, json.loads(found.content)["error"]["code"]


def test_every_kind_of_error_has_its_code() -> None:
    assert told(ApiError("invalid_filter", "start: soon", param="start")) == (400, "invalid_filter")
    assert told(NotAuthenticated()) == (401, "invalid_api_key")
    assert told(PermissionDenied()) == (403, "not_allowed")
    assert told(Http404()) == (404, "not_found")
    assert told(OperationalError("the server closed the connection")) == (503, "ledger_unavailable")


def test_no_text_of_the_database_is_told() -> None:
    found = api.refusal(OperationalError("relation usage_record of CANARY"))

    assert found is not None
    assert b"CANARY" not in found.content
    assert found["Retry-After"] == "1"


def test_a_fault_of_ours_stays_one() -> None:
    assert api.refusal(KeyError("x")) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":2}',
        b"[NaN]",
        b"[1e999]",
        b'["\\ud800"]',
        b"[9007199254740993]",
    ],
)
def test_what_is_no_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError):
        api.loads(raw)


def test_depth_is_limited_exactly() -> None:
    assert api.loads(b"[" * 64 + b"]" * 64)
    with pytest.raises(ApiError, match="64"):
        api.loads(b"[" * 65 + b"]" * 65)


def test_fractions_are_exact() -> None:
    assert api.loads(b'{"cost": 0.1}') == {"cost": Decimal("0.1")}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_ordinary_json_is_read_as_it_is(value: Any) -> None:
    assert api.loads(json.dumps(value).encode()) == value
