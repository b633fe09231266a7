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
        b"anthropic-beta": b"a\tb",
        b"openai-beta": b"assistants=v2",
    }

    found = headers.to_upstream(
        client,
        dialect="anthropic",
        credential=[(b"authorization", b"Bearer sk")],
        request_id="r-1",
        is_stream=True,
    )

    assert dict(found) == {
        b"content-type": b"application/json",
        b"accept": b"text/event-stream",
        b"user-agent": b"tollkeeper",
        b"x-request-id": b"r-1",
        b"authorization": b"Bearer sk",
        b"anthropic-version": b"2023-06-01",
    }


def test_a_version_is_named_where_the_provider_wants_one_and_the_client_names_none() -> None:
    def sent(dialect: str, **client: str) -> dict[bytes, bytes]:
        said = {name.replace("_", "-").encode(): value.encode() for name, value in client.items()}
        found = headers.to_upstream(
            said, dialect=dialect, credential=[], request_id="r", is_stream=False
        )
        return {name: value for name, value in found if name.startswith((b"anthropic", b"openai"))}

    assert sent("anthropic") == {b"anthropic-version": b"2023-06-01"}
    newer = {"anthropic_version": "2027-01-01", "anthropic_beta": "context-1m-2025-08-07"}
    assert sent("anthropic", **newer) == {
        b"anthropic-version": b"2027-01-01",
        b"anthropic-beta": b"context-1m-2025-08-07",
    }
    assert sent("openai", openai_beta="assistants=v2") == {b"openai-beta": b"assistants=v2"}
    assert sent("gemini", **newer) == {}


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


def test_the_providers_name_of_a_request_is_kept_where_it_is_one() -> None:
    assert headers.id_of([(b"x-request-id", b"req_1"), (b"date", b"x")]) == "req_1"
    assert headers.id_of([(b"request-id", b"a"), (b"x-request-id", b"b")]) == "a"
    assert headers.id_of([(b"request-id", b"x" * 500)]) == "x" * 128
    assert headers.id_of([(b"request-id", b"a\x00b")]) is None
    assert headers.id_of([]) is None
