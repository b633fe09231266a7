"""The fault matrix as a table: what a provider does, what the client gets, what the books say."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.gateway.proxy.faults.recordings import CHAT, GENERATE, MESSAGES, Recording

MAIN = (CHAT, MESSAGES, GENERATE)
BROKEN = "upstream_error"
LATE = "upstream_timeout"
AWAY = "upstream_unreachable"
PASSED = "fake"  # the provider's own error, shown as it came


@dataclass(frozen=True)
class Case:
    """One fault, and all that must follow from it. `source` is of a settled call's cost."""

    name: str
    wish: str
    status: int
    code: str
    state: str
    source: str = ""
    sent: int = 1  # requests that the provider heard
    way: str = ""  # another upstream than the usual one
    after: str | None = None  # what the client is told to wait
    is_stream: bool = False


def exact(name: str, wish: str, *, sent: int = 1, way: str = "") -> Case:
    """Expect a good answer at its exact cost."""
    return Case(name, wish, 200, "", "settled", "usage", sent, way)


def counted(name: str, wish: str, code: str = "", way: str = "") -> Case:
    """Expect a stream that is relayed, and counted because its usage was not read."""
    return Case(name, wish, 200, code, "settled", "count", 1, way)


def lost(name: str, wish: str, code: str = BROKEN, way: str = "") -> Case:
    """Expect an error of the gateway: the provider may have billed, nobody knows how much."""
    return Case(name, wish, 504 if code == LATE else 502, code, "uncertain", "bound", way=way)


def free(name: str, wish: str, status: int = 502, code: str = BROKEN, *, sent: int = 1) -> Case:
    """Expect an error that provably cost nothing."""
    return Case(name, wish, status, code, "released", sent=sent)


UNREACHED = [
    Case("refused", "", 502, AWAY, "released", sent=0, way="refused-"),
    Case("no such name", "", 502, AWAY, "released", sent=0, way="nameless-"),
    Case("bad certificate", "", 502, AWAY, "released", sent=0, way="untrusted-"),
    Case("no tls at all", "", 502, AWAY, "released", sent=0, way="plain-"),
]
ANSWERED = [
    exact("good", ""),
    free("401", "@fault=status @status=401", 401, PASSED),
    free("403", "@fault=status @status=403", 403, PASSED),
    free("401 as a page", "@fault=status @status=401 @body=html"),
    free("404", "@fault=status @status=404", 404, PASSED),
    free("400", "@fault=status @status=400", 400, PASSED),
    free("418", "@fault=status @status=418", 418, PASSED),
    free("429 storm", "@fault=status @status=429 @after=0", 429, PASSED, sent=3),
    free("429 without a word", "@fault=status @status=429", 429, PASSED, sent=3),
    Case(
        *("429 for long", "@fault=status @status=429 @after=60", 429, PASSED, "released"),
        after="60",
    ),
    Case(
        "429 as a page",
        "@fault=status @status=429 @body=html @after=60",
        429,
        BROKEN,
        "released",
        after="60",
    ),
    Case(
        "429 broken off",
        "@fault=status @status=429 @body=broken @after=60",
        429,
        BROKEN,
        "released",
        after="60",
    ),
    free("429 and more", "@fault=status @status=429 @body=huge @after=60", 429),
    lost("429 cut", "@fault=status @status=429 @body=cut"),
    exact("429 once", "@fault=status @status=429 @times=1 @after=1", sent=2),
    exact("429 once with a date", "@fault=status @status=429 @times=1 @date=2", sent=2),
    exact("503 once", "@fault=status @status=503 @times=1", sent=2),
    free("503", "@fault=status @status=503", 503, PASSED, sent=3),
    free("500", "@fault=status @status=500", 500, PASSED),
    free("500 as a page", "@fault=status @status=500 @body=html"),
    free("529", "@fault=status @status=529", 529, PASSED),
    lost("500 of a stranger", "@fault=status @status=500", way="stranger-"),
    Case(
        "401 of a stranger",
        "@fault=status @status=401",
        401,
        PASSED,
        "uncertain",
        "bound",
        way="stranger-",
    ),
    Case(
        "429 of a stranger",
        "@fault=status @status=429 @after=60",
        429,
        PASSED,
        "released",
        way="stranger-",
    ),
    Case(
        "500 with a bill", "@fault=status @status=500 @body=billed", 502, BROKEN, "settled", "usage"
    ),
    Case(
        "429 with a bill", "@fault=status @status=429 @body=billed", 429, PASSED, "settled", "usage"
    ),
    free("302", "@fault=redirect"),
    free("307", "@fault=redirect @status=307"),
    free("304", "@fault=empty @status=304"),
    lost("204", "@fault=empty @status=204"),
    lost("nothing", "@fault=empty"),
    lost("page", "@fault=html"),
    lost("bomb", "@fault=bomb"),
    lost("another protocol", "@fault=junk"),
    exact("interim", "@fault=interim"),
    lost("interim without end", "@fault=interim @times=10000"),
    lost("huge head", "@fault=huge_head"),
    lost("silent", "@fault=silent", LATE, "hasty-"),
    exact("drip", "@fault=drip @gap=0.001"),
    lost("drip past the total", "@fault=drip @gap=0.05", LATE, "hasty-"),
    lost("drip past the idle", "@fault=drip @gap=2", LATE, "hasty-"),
    exact("closed after it", "@fault=stale @how=at_once"),
]
WHOLE = [
    lost("cut to the end of the connection", "@fault=unframed @at=50"),
    exact("to the end of the connection", "@fault=unframed"),
    lost("reset", "@fault=reset"),
    lost("stuck", "@fault=stuck", LATE, "hasty-"),
    lost("huge trailer", "@fault=huge_trailer"),
    lost("bad chunk", "@fault=bad_chunk"),
    lost("too short", "@fault=too_short"),
    lost("too long", "@fault=too_long"),
    lost("flood", "@fault=flood @mb=70"),
    lost("comments", "@fault=comments", LATE, "hasty-"),
]
STREAMED = [
    counted("cut to the end of the connection", "@fault=unframed @at=120", BROKEN),
    exact("to the end of the connection", "@fault=unframed"),
    counted("reset", "@fault=reset", BROKEN),
    counted("stuck", "@fault=stuck", LATE, "hasty-"),
    exact("huge trailer", "@fault=huge_trailer"),
    counted("bad chunk", "@fault=bad_chunk", BROKEN),
    exact("too short", "@fault=too_short"),
    counted("too long", "@fault=too_long"),
    counted("flood", "@fault=flood @mb=8", BROKEN),
    counted("comments", "@fault=comments", LATE, "hasty-"),
]
EVENTFUL = [
    exact("whole", "@fault=whole"),
    free("whole error", "@fault=whole @error=1"),
    counted("endless", "@fault=endless", "bound_breach"),
    counted("endless and slow", "@fault=endless @gap=0.1", LATE, "hasty-"),
    counted("negative", "@fault=malformed @how=negative"),
    counted("absurd", "@fault=malformed @how=absurd"),
    counted("text", "@fault=malformed @how=text"),
    exact("garbage", "@fault=malformed @how=garbage"),
    counted("only garbage", "@fault=malformed @how=only_garbage"),
    exact("not utf-8", "@fault=malformed @how=not_utf8"),
    exact("crlf", "@fault=malformed @how=crlf"),
    exact("twice", "@fault=malformed @how=twice"),
    counted("joined", "@fault=malformed @how=joined"),
    counted("empty", "@fault=malformed @how=nothing"),
    Case("error first", "@fault=malformed @how=error", 200, "", "released"),
    Case("error later", "@fault=malformed @how=late_error", 200, "", "released"),
]


def every(recording: Recording) -> Iterator[Case]:
    """Return the cases of a format: all of the most used ones, else those that its parser meets."""
    common = UNREACHED + ANSWERED if recording in MAIN else ANSWERED[:1]
    yield from common + WHOLE
    if recording.stream:
        for case in common + STREAMED + ([] if recording.is_array else EVENTFUL):
            yield replace(case, is_stream=True)
