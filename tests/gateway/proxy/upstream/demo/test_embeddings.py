"""The demo's embeddings: vectors of length one, in both formats and both encodings."""

import base64
import json
import struct

import pytest

from tests.gateway.proxy.upstream.demo.asking import EMBEDDINGS

OPENAI = EMBEDDINGS["openai"]


async def test_each_input_has_its_vector_of_the_asked_size() -> None:
    answer = json.loads(await (await OPENAI.ask(dimensions=32)).read())

    vectors = [entry["embedding"] for entry in answer["data"]]
    assert [len(vector) for vector in vectors] == [32, 32]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1)
    assert vectors[0] != vectors[1]


async def test_packed_vectors_are_the_same_numbers() -> None:
    plain = json.loads(await (await OPENAI.ask(dimensions=8)).read())
    packed = json.loads(await (await OPENAI.ask(dimensions=8, encoding_format="base64")).read())

    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<8f", raw)) == pytest.approx(plain["data"][0]["embedding"])


async def test_gemini_gets_one_vector_or_one_for_each_request() -> None:
    one = json.loads(await (await EMBEDDINGS["gemini"].ask()).read())
    two = json.loads(await (await EMBEDDINGS["gemini_batch"].ask()).read())

    assert two["embeddings"] == [one["embedding"]] * 2
