"""Headers pass by list only."""

import pytest

from gateway.proxy.upstream import headers
from gateway.proxy.upstream.headers import RepeatedHeaderError


def test_names_with_underscores_are_dropped_and_lists_are_joined() -> None:
    found = headers.single(
        [(b"accept", b"a"), (b"x_user_id", b"evil"), (b"accept", b"b"), (b"x-user-id", b"u")]
    )

    assert found == {b"accept": b"a, b", b"x-user-id": b"u"}


@pytest.mark.parametrize(
    "name", [b"authorization", b"content-length", b"x-cost-center", b"idempotency-key"]
)
def test_a_single_value_that_comes_twice_is_refused(name: bytes) -> None:
    with pytest.raises(RepeatedHeaderError):
        headers.single([(name, b"1"), (name, b"1")])


def test_nothing_of_the_client_reaches_the_provider_but_what_is_listed() -> None:
    client = {
        b"authorization": b"Bearer tk_live_x",
        b"cookie": b"a=b",
        b"host": b"evil",
        b"x-forwarded-for": b"1.2.3.4",
        b"connection": b"x-request-id",
        b"x-request-id": b"evil",
        b"user-agent": b"evil",
        b"content-type": b"text/plain",
        b"anthropic-version": b"2023-06-01",
        b"openai-beta": b"a\tb",
    }

    found = headers.to_upstream(
        client, credential=[(b"authorization", b"Bearer sk")], request_id="r-1", is_stream=True
    )

    assert dict(found) == {
        b"content-type": b"application/json",
        b"accept": b"text/event-stream",
        b"user-agent": b"tollkeeper",
        b"x-request-id": b"r-1",
        b"authorization": b"Bearer sk",
        b"anthropic-version": b"2023-06-01",
    }


def test_nothing_of_the_provider_reaches_the_client_but_what_is_listed() -> None:
    upstream = [
        (b"set-cookie", b"a=b"),
        (b"location", b"http://x"),
        (b"content-type", b"text/html"),
        (b"access-control-allow-origin", b"*"),
        (b"retry-after", b"7"),
        (b"retry-after-ms", b"7\x00"),
    ]

    found = headers.to_client(upstream, is_stream=False)

    assert dict(found) == {
        b"content-type": b"application/json",
        b"x-content-type-options": b"nosniff",
        b"cache-control": b"no-store",
        b"retry-after": b"7",
    }
    assert dict(headers.to_client([], is_stream=True))[b"content-type"].startswith(
        b"text/event-stream"
    )
