"""Events come out the same wherever the stream was cut, and no byte is lost."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.protocols.sse import EVENT, LINE, Splitter
from gateway.proxy.protocols.wire import StreamError

STREAM = (
    b"\xef\xbb\xbfdata: first\n\n"
    b": a comment\n\n"
    b"event: message\r\nid: 1\r\ndata: second\r\ndata:  line\r\n\r\n"
    b"data:third\r\rdata\n\n\n"
    b'data: {"a":"\xc3\xa9"}\r\n\r\n'
    b"retry: 10\ndata: mixed\r\n\n"
    b"data: unfinished"
)
DATA = [b"first", b"second\n line", b"third", b"", b'{"a":"\xc3\xa9"}', b"mixed"]


def split(*chunks: bytes) -> tuple[list[bytes], bytes]:
    """Feed the chunks; return the data that came out and all raw bytes."""
    splitter = Splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    rest = splitter.rest()
    raw = b"".join(event[0] for event in events) + (rest[0] if rest else b"")
    return [data for _, data in events if data is not None], raw


@pytest.mark.parametrize("place", range(len(STREAM) + 1))
def test_a_stream_reads_the_same_cut_at_every_byte(place: int) -> None:
    assert split(STREAM[:place], STREAM[place:]) == (DATA, STREAM)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_reads_the_same_cut_anywhere(places: list[int]) -> None:
    borders = [0, *sorted(places), len(STREAM)]

    chunks = [STREAM[a:b] for a, b in itertools.pairwise(borders)]

    assert split(*chunks) == (DATA, STREAM)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: x", b": c", b"\r\n", b"data"])))
def test_no_byte_of_any_mixture_is_lost(parts: list[bytes]) -> None:
    assert split(*parts)[1] == b"".join(parts)


def test_what_the_upstream_did_not_finish_is_kept_for_the_end() -> None:
    splitter = Splitter()

    assert splitter.feed(b"data: [DO") == []
    assert splitter.feed(b"NE]") == []

    assert splitter.rest() == (b"data: [DONE]", b"[DONE]")
    assert splitter.rest() is None


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * LINE + b"\n\n",
        b"data: " + b"x" * LINE,
        (b"data: " + b"x" * (LINE // 2) + b"\n") * (2 * EVENT // LINE + 1),
    ],
    ids=["line", "unfinished line", "event"],
)
def test_a_line_or_event_over_its_limit_is_refused(stream: bytes) -> None:
    chunks = [stream[place : place + 65536] for place in range(0, len(stream), 65536)]

    with pytest.raises(StreamError):
        split(*chunks)


def test_a_long_event_of_allowed_lines_passes() -> None:
    stream = (b"data: " + b"x" * (LINE // 2) + b"\n") * 4 + b"\n"

    assert split(stream)[1] == stream
