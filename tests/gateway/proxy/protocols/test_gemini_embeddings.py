"""Gemini's embeddings: bounded by their input, sent with our model in every entry."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import gemini_embeddings
from gateway.proxy.protocols.wire import Format, InvalidRequestError, Sending

EMBEDDING: Format = gemini_embeddings


def test_embeddings_are_bounded_by_their_input_and_name_our_model() -> None:
    entry = {
        "model": "models/dear",
        "content": {"parts": [{"text": "hi"}]},
        "output_dimensionality": 8,
    }
    one = EMBEDDING.parse_request(json.dumps(entry).encode(), {"model": "m"})
    many = EMBEDDING.parse_request(
        json.dumps({"requests": [entry, entry]}).encode(), {"model": "m"}
    )

    assert (one.max_output, EMBEDDING.size(one).unbounded) == (0, None)
    assert (EMBEDDING.size(many).messages, EMBEDDING.size(many).output_classes) == (2, ())
    assert json.loads(EMBEDDING.outgoing(one, Sending("m-1")))["model"] == "models/m-1"
    sent = json.loads(EMBEDDING.outgoing(many, Sending("m-1")))["requests"]
    assert [request["model"] for request in sent] == ["models/m-1", "models/m-1"]
    assert sent[0]["outputDimensionality"] == 8
    assert EMBEDDING.upstream_path(one, Sending("m-1")) == "/models/m-1:embedContent"
    assert EMBEDDING.upstream_path(many, Sending("m-1")) == "/models/m-1:batchEmbedContents"


@pytest.mark.parametrize("body", [{}, {"content": "hi"}, {"requests": []}, {"requests": [{}]}])
def test_an_embedding_of_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        EMBEDDING.parse_request(json.dumps(body).encode(), {"model": "m"})


def test_an_embedding_may_state_its_usage_or_not() -> None:
    stated = b'{"embeddings":[],"usageMetadata":{"promptTokenCount":8}}'

    assert EMBEDDING.read_answer(stated).usage == Tokens(8)
    assert EMBEDDING.read_answer(b'{"embeddings":[]}').usage is None
    assert EMBEDDING.read_answer(b'{"embeddings":[').visible_output() == 0
