"""The official OpenAI SDK, unchanged but for address and key, through a gateway to a real llama.cpp server."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from attribution.isolation.transaction import tenant
from tests.concurrency.processes import (
    MODEL,
    RATES,
    KeyWorld,
    Process,
    free_port,
    gateway,
    make_key_world,
    rows,
)

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("committed")]

DATA = Path(os.environ.get("TOLLKEEPER_DATA", "../shared/data"))
UPSTREAM = DATA.parent / "upstream"
USED_S = 5.0


@dataclass(frozen=True)
class Setup:
    """A client of the gateway and the organization it calls for."""

    client: openai.OpenAI
    world: KeyWorld

    def record(self, call_id: str) -> dict[str, Any]:
        """Return what was recorded of a call."""
        columns = (
            "state",
            "input_tokens",
            "cache_read_tokens",
            "output_tokens",
            "cost",
            "is_estimated",
            "model_billed",
        )
        with tenant(self.world.organization_id):
            (row,) = rows(f"SELECT {', '.join(columns)} FROM v1_calls WHERE call_id = %s", call_id)  # noqa: S608 -- our columns
        return dict(zip(columns, row, strict=True))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a real llama.cpp server with a tiny random model."""
    if not (UPSTREAM / "serve.py").exists():
        pytest.skip(f"no llama.cpp scripts at {UPSTREAM} (set TOLLKEEPER_DATA)")
    model = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    subprocess.run([sys.executable, str(UPSTREAM / "make_tiny_gguf.py"), str(model)], check=True)  # noqa: S603 -- test data
    port = free_port()
    server = Process(
        [sys.executable, str(UPSTREAM / "serve.py"), str(model), str(port), MODEL],
        {},
        f"http://127.0.0.1:{port}",
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture
def setup(llama: Process) -> Iterator[Setup]:
    """Route a key's calls to the llama.cpp server."""
    world = make_key_world(llama.url, limits={"organization": "1", "api_key": "1"})
    process = gateway({}, llama)
    process.start()
    with openai.OpenAI(base_url=f"{process.url}/v1", api_key=world.token, max_retries=0) as client:
        yield Setup(client, world)
    process.kill()


def said(text: str) -> list[ChatCompletionMessageParam]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


def cost(usage: openai.types.CompletionUsage) -> Decimal:
    """Return what a call costs at the prices of this world."""
    return (
        usage.prompt_tokens * Decimal(RATES["input"])
        + usage.completion_tokens * Decimal(RATES["output"])
    ) / 10**6


def test_a_whole_answer_is_recorded_with_the_usage_the_server_reported(setup: Setup) -> None:
    raw = setup.client.chat.completions.with_raw_response.create(
        model=MODEL,
        max_tokens=12,
        seed=1,
        temperature=0,
        messages=said("hello"),
    )

    usage = raw.parse().usage
    record = setup.record(raw.headers["x-request-id"])
    assert usage is not None
    assert record["state"] == "settled"
    assert record["is_estimated"] is False
    assert record["model_billed"] == MODEL
    assert record["output_tokens"] == usage.completion_tokens == 12
    assert record["cost"] == Decimal(raw.headers["x-cost-usd"]) == cost(usage)
    assert usage.model_dump()["cost_usd"] == raw.headers["x-cost-usd"]


def test_a_stream_is_recorded_and_shows_usage_only_to_who_asked(setup: Setup) -> None:
    def stream(*, asks: bool) -> tuple[str, list[ChatCompletionChunk]]:
        with setup.client.chat.completions.with_streaming_response.create(
            model=MODEL,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": asks},
            messages=said("hello again"),
        ) as raw:
            return raw.headers["x-request-id"], list(raw.parse())

    asked_id, asked = stream(asks=True)
    silent_id, silent = stream(asks=False)

    usage = asked[-1].usage
    assert usage is not None
    assert setup.record(asked_id)["cost"] == cost(usage)
    assert all(chunk.usage is None for chunk in silent)
    assert setup.record(silent_id)["state"] == "settled"
    assert setup.record(silent_id)["output_tokens"] == 12


def test_the_server_s_cached_tokens_are_told_apart(setup: Setup) -> None:
    def ask() -> LegacyAPIResponse[ChatCompletion]:
        return setup.client.chat.completions.with_raw_response.create(
            model=MODEL, max_tokens=4, messages=said("the same long question " * 12)
        )

    ask()
    raw = ask()

    usage = raw.parse().usage
    record = setup.record(raw.headers["x-request-id"])
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert record["cache_read_tokens"] == usage.prompt_tokens_details.cached_tokens
    assert usage.prompt_tokens == record["cache_read_tokens"] + record["input_tokens"]


def test_errors_are_those_the_sdk_knows(setup: Setup) -> None:
    wrong = setup.client.with_options(api_key="tk_live_no")
    with pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model=MODEL, messages=said("hi"))
    with pytest.raises(openai.NotFoundError):
        setup.client.chat.completions.create(model="no-such-model", messages=said("hi"))


def test_a_client_that_leaves_is_billed_all_the_same(setup: Setup) -> None:
    with setup.client.chat.completions.with_streaming_response.create(
        model=MODEL,
        max_tokens=3000,
        stream=True,
        extra_body={"ignore_eos": True},
        messages=said("write on"),
    ) as raw:
        call_id = raw.headers["x-request-id"]
        next(raw.iter_lines())

    until = time.monotonic() + USED_S
    while setup.record(call_id)["state"] == "held" and time.monotonic() < until:
        time.sleep(0.1)
    record = setup.record(call_id)
    assert record["state"] == "settled"
    assert record["is_estimated"] is True
    assert isinstance(record["cost"], Decimal)
    assert record["cost"] > 0


def test_the_models_are_listed(setup: Setup) -> None:
    assert [model.id for model in setup.client.models.list()] == [MODEL]
