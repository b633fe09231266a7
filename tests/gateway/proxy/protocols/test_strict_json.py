"""Callers' JSON has one meaning, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.protocols import strict_json
from gateway.proxy.protocols.wire import InvalidRequestError

WELL_FORMED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


@given(WELL_FORMED)
def test_what_json_writes_is_read_the_same(value: object) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b'{"max_tokens":1,"max_tokens":100000}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9007199254740993}',
        b'{"a":-9007199254740993}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a":1}x',
        b'{"a":01}',
        b"{'a':1}",
        b'{"a":"\n"}',
        b"",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
    ],
    ids=lambda raw: f"{raw[:24]!r}…{len(raw)}",
)
def test_whatever_two_readers_could_understand_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        strict_json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 64 + b"]" * 64,
        b'{"a":9007199254740992}',
        b'{"a":"\\ud83d\\ude00"}',
        b"[" + b",".join([b"[[]]"] * 100) + b"]",
    ],
    ids=lambda raw: f"{raw[:24]!r}…{len(raw)}",
)
def test_the_limits_themselves_are_allowed(raw: bytes) -> None:
    assert strict_json.loads(raw) == json.loads(raw)


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        strict_json.load_object(b'{"model":"a","n":1,"n":2}')

    assert refusal.value.param == "n"


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        strict_json.load_object(b"[]")
