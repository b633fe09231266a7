"""The governed paths and the wire format of each: what is not here is not proxied."""

from django.urls import URLPattern, path

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
from gateway.proxy.view import Budgets, CallView, Estimate, Models


def carried(place: str, form: Format) -> URLPattern:
    """Return the pattern of a path that carries calls of one format."""
    return path(place, CallView.as_view(format=form), name=form.NAME)


def method(name: str, form: Format) -> URLPattern:
    """Return the pattern of a method of Gemini's models."""
    place = f"v1beta/models/<path:model>:{name}"
    return path(place, CallView.as_view(format=form), {"method": name}, name=name)


urlpatterns = [
    carried("v1/chat/completions", openai_chat),
    carried("v1/completions", openai_completions),
    carried("v1/responses", openai_responses),
    carried("v1/embeddings", openai_embeddings),
    carried("v1/messages", anthropic_messages),
    carried("v1/messages/count_tokens", anthropic_count_tokens),
    method("generateContent", gemini_generate),
    method("streamGenerateContent", gemini_generate),
    method("embedContent", gemini_embeddings),
    method("batchEmbedContents", gemini_embeddings),
    method("countTokens", gemini_count_tokens),
    path("v1/models", Models.as_view(), name="models"),
    path("v1beta/models", Models.as_view(format=gemini_generate), name="gemini-models"),
    path("v1/costs/estimate", Estimate.as_view(), name="costs-estimate"),
    path("v1/budgets", Budgets.as_view(), name="budgets"),
]
