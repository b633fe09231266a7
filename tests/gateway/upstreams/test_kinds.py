"""Every kind of upstream has an address and a credential header."""

import pytest

from attribution.outbound.addresses import AddressError, Origin
from gateway.proxy.protocols import (
    anthropic_count_tokens,
    anthropic_messages,
    gemini_count_tokens,
    gemini_embeddings,
    gemini_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from gateway.proxy.protocols.wire import Format
from gateway.upstreams import kinds
from gateway.upstreams.models import UpstreamKind

FORMATS: list[Format] = [
    *(openai_chat, openai_completions, openai_embeddings, openai_responses),
    *(anthropic_messages, anthropic_count_tokens),
    *(gemini_generate, gemini_embeddings, gemini_count_tokens),
]


def test_every_kind_of_the_model_is_described() -> None:
    assert set(kinds.KINDS) == set(UpstreamKind.values)


def test_an_address_is_origin_and_path() -> None:
    assert kinds.address("openai", "") == (Origin("https", "api.openai.com", 443), "/v1")
    found = kinds.address("openai_compatible", "http://127.0.0.1:8080/v1/")
    assert found == (Origin("http", "127.0.0.1", 8080), "/v1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://a.example/#x",
        "https://a.example?x=1",
        "https://a.example:99999",
        "nonsense",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        kinds.address("openai_compatible", url)


@pytest.mark.parametrize(
    ("kind", "form", "header", "place"),
    [
        ("openai", "openai_responses", (b"authorization", b"Bearer sk"), "/base"),
        ("azure_openai", "openai_chat", (b"api-key", b"sk"), "/base"),
        ("anthropic", "anthropic_messages", (b"x-api-key", b"sk"), "/base"),
        ("anthropic", "openai_chat", (b"authorization", b"Bearer sk"), "/base"),
        ("gemini", "gemini_generate", (b"x-goog-api-key", b"sk"), "/base"),
        ("gemini", "openai_chat", (b"authorization", b"Bearer sk"), "/base/openai"),
        ("deepseek", "openai_chat", (b"authorization", b"Bearer sk"), "/base"),
        ("deepseek", "anthropic_messages", (b"x-api-key", b"sk"), "/base/anthropic/v1"),
    ],
)
def test_a_format_has_its_place_and_its_credential_header(
    kind: str, form: str, header: tuple[bytes, bytes], place: str
) -> None:
    found = kinds.KINDS[kind]
    speech = found.speech(form)

    assert speech is not None
    assert speech.credential("sk") == [header]
    assert found.prefix("/base", speech) == place


def test_an_address_that_names_one_format_means_the_base_of_all() -> None:
    gemini = kinds.KINDS["gemini"]
    native, compatible = gemini.speeches

    assert gemini.prefix("/v1beta/openai", native) == "/v1beta"
    assert gemini.prefix("/v1beta/openai", compatible) == "/v1beta/openai"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("openai", "/v1"),
        ("anthropic", "/v1"),
        ("gemini", "/v1beta"),
        ("azure_openai", "/openai/v1"),
        ("openrouter", "/api/v1"),
        ("openai_compatible", ""),
    ],
)
def test_an_address_without_a_path_means_the_usual_one(kind: str, path: str) -> None:
    found = kinds.KINDS[kind]

    assert found.prefix("", found.speeches[0]) == path


def test_a_kind_does_not_speak_what_it_is_not_known_to_speak() -> None:
    assert kinds.KINDS["anthropic"].speech("openai_responses") is None
    assert kinds.KINDS["openai"].speech("anthropic_messages") is None
    assert kinds.KINDS["openai_compatible"].speech("gemini_generate") is None


def test_the_demo_speaks_every_format_and_no_kind_speaks_another_one() -> None:
    spoken = {
        name: frozenset().union(*(speech.formats for speech in kind.speeches))
        for name, kind in kinds.KINDS.items()
    }

    assert spoken["demo"] == {form.NAME for form in FORMATS}
    assert all(formats <= spoken["demo"] for formats in spoken.values())
