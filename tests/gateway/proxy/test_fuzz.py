"""Whatever a client sends: no answer of 5xx, and every refusal has a documented code."""

import asyncio
import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.proxy.protocols.errors import REFUSALS
from gateway.proxy.urls import urlpatterns
from gateway.proxy.view import CallView
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, House, aside, make_house

MESSAGES = [{"role": "user", "content": "hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
BODIES: dict[str, dict[str, Any]] = {
    "v1/chat/completions": {"model": MODEL, "messages": MESSAGES, "max_tokens": 9, "n": 1},
    "v1/completions": {"model": MODEL, "prompt": "hi", "max_tokens": 9},
    "v1/responses": {"model": MODEL, "input": "hi", "max_output_tokens": 16},
    "v1/embeddings": {"model": MODEL, "input": ["hi"]},
    "v1/messages": {"model": MODEL, "messages": MESSAGES, "max_tokens": 9, "system": "be kind"},
    "v1/messages/count_tokens": {"model": MODEL, "messages": MESSAGES},
    "generateContent": {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 9}},
    "streamGenerateContent": {"contents": CONTENTS},
    "embedContent": {"content": CONTENTS[0]},
    "batchEmbedContents": {
        "requests": [{"model": f"models/{MODEL}", "content": CONTENTS[0]}],
    },
    "countTokens": {"contents": CONTENTS},
    "v1/costs/estimate": {"path": "/v1/chat/completions", "model": MODEL, "messages": MESSAGES},
}
NAMES = ("stream", "tools", "metadata", "user", "service_tier", "stream_options", "stop", "system")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "\0", "auto", MODEL, "data:image/png;base64,AA==", -1, 0, 2**53])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "type", "text", "role"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CONTROLS = bytes({*range(32), 127} - {9})  # no header has them: the server hangs up by itself
tokens = st.binary(max_size=90).map(lambda raw: raw.translate(None, CONTROLS))
FUZZ = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def paths() -> dict[str, str]:
    """Return the path of every wire format, and the name under which its body stands above."""
    found = {"/v1/costs/estimate": "v1/costs/estimate"}
    for entry in urlpatterns:
        if getattr(entry.callback, "view_class", None) is CallView:
            place = str(entry.pattern)
            name = place.rpartition(":")[2] if "<path:model>" in place else place
            found["/" + place.replace("<path:model>", MODEL)] = name
    return found


@st.composite
def bodies(draw: Any, name: str) -> bytes:
    """Return bytes, a value, or a good body in which something was replaced."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return bytes(draw(st.binary(max_size=40)))
    if kind == 1:
        return json.dumps(draw(values)).encode()
    body: Any = json.loads(json.dumps(BODIES[name]))
    for _ in range(draw(st.integers(1, 2))):
        place = body
        key = draw(st.sampled_from([*place, *NAMES]))
        while isinstance(place.get(key), dict | list) and place[key] and draw(st.booleans()):
            inner = place[key]
            place = inner[0] if isinstance(inner, list) else inner
            if not isinstance(place, dict):
                return json.dumps(body).encode()
            key = draw(st.sampled_from([*place, "type"]))
        place[key] = draw(values)
    return json.dumps(body).encode()


class Caller:
    """A client that sends what it is told, byte by byte."""

    def __init__(self, url: str) -> None:
        self._place = url.removeprefix("http://")

    def ask(self, path: str, headers: dict[str, bytes], body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        connection = http.client.HTTPConnection(self._place, timeout=20)
        try:
            connection.putrequest("POST", path)
            for name, value in {"Content-Length": b"%d" % len(body), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def check(path: str, status: int, raw: bytes) -> None:
    """Refuse an answer of 5xx, and a refusal whose code the documents do not tell of."""
    assert status < 500, (path, status, raw[:300])
    if status >= 400:
        error = json.loads(raw)["error"]
        code = error["reason"] if isinstance(error["code"], int) else error["code"]
        assert REFUSALS[code].status == status, (path, raw[:300])


def fuzz_bodies(url: str, token: str, *, examples: int) -> set[int]:
    """Send strange bodies to every path; return the statuses seen."""
    caller, seen = Caller(url), set()
    headers = {"x-api-key": token.encode(), "Content-Type": b"application/json"}

    def ask(path: str, body: bytes) -> None:
        status, raw = caller.ask(path, headers, body)
        seen.add(status)
        check(path, status, raw)

    for path, name in paths().items():
        _fuzz(ask, path, bodies(name), examples)
    return seen


def _fuzz(ask: Callable[[str, bytes], None], path: str, strange: Any, examples: int) -> None:
    @settings(FUZZ, max_examples=examples)
    @given(body=strange)
    def send(body: bytes) -> None:
        ask(path, body)

    send()


def fuzz_keys(url: str, token: str, *, examples: int) -> set[int]:
    """Present strange keys at every path; return the statuses seen."""
    caller, seen = Caller(url), set()
    cut = st.integers(0, len(token)).map(lambda at: token[:at].encode() + b"\xe9" + token.encode())
    keys = tokens | cut | tokens.map(lambda raw: b"tk_live_" + raw)
    schemes = st.sampled_from([b"Bearer ", b"bearer  ", b"Basic ", b"", b"Bearer\t"])
    names = st.sampled_from(["Authorization", "x-api-key", "x-goog-api-key"])

    @settings(FUZZ, max_examples=examples)
    @given(
        path=st.sampled_from(sorted(paths())),
        headers=st.dictionaries(names, st.tuples(schemes, keys).map(b"".join), max_size=3),
    )
    def present(path: str, headers: dict[str, bytes]) -> None:
        status, raw = caller.ask(path, headers, b"{}")
        seen.add(status)
        assert status in {400, 401}, (path, headers, raw[:300])
        check(path, status, raw)

    present()
    return seen


@pytest.mark.parametrize("limit", ["", "1000"], ids=["free", "under a hard budget"])
async def test_strange_bodies_are_refused_or_carried(
    committed: None, start: Start, limit: str
) -> None:
    house: House = await aside(
        make_house, kind="demo", base_url="", key={"max_output_tokens": 8}
    )  # short answers: the demo takes its time for long ones
    if limit:
        await house.make(factories.make_budget, limit=limit)

    async with start(house) as (client, _, _):
        seen = await _aside(fuzz_bodies, client.url, house.token, examples=12)

    assert {200, 400} <= seen


async def test_strange_keys_are_refused(office: Any) -> None:
    seen = await _aside(fuzz_keys, office.url, office.house.token, examples=80)

    assert seen == {400, 401}


async def _aside(work: Callable[..., set[int]], *values: str, examples: int) -> set[int]:
    return await asyncio.to_thread(work, *values, examples=examples)


def test_every_path_has_a_body_to_be_changed() -> None:
    assert set(paths().values()) == set(BODIES)
