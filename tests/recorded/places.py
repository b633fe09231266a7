"""Where a recorded request goes: its provider's kind of upstream, our path, its body with our model."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.recorded.cases import Case

# by the end of the host: kind of upstream, and where its formats lie under the base address
KINDS = {
    "api.openai.com": ("openai", "/v1"),
    "azure.com": ("azure_openai", "/openai/v1"),
    "api.anthropic.com": ("anthropic", "/v1"),
    "generativelanguage.googleapis.com": ("gemini", "/v1beta"),
    "api.deepseek.com": ("deepseek", ""),
    "openrouter.ai": ("openrouter", "/api/v1"),
    "api.mistral.ai": ("openai_compatible", "/v1"),
    "api.groq.com": ("openai_compatible", "/v1"),
    "api.x.ai": ("openai_compatible", "/v1"),
}
PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings", "/messages")


@dataclass(frozen=True)
class Place:
    """A call of ours: what is asked for, where, and which upstream answers."""

    path: str  # ours; `{model}` stands for the name of the route
    kind: str
    base: str  # path of the upstream's address
    model: str  # the provider's
    body: dict[str, Any]
    is_named: bool  # the body names the model

    def url(self, name: str) -> str:
        """Return our path for a route."""
        return self.path.replace("{model}", name)

    def request(self, name: str) -> dict[str, Any]:
        """Return the recorded body as a program would send it to a route."""
        return {**self.body, "model": name} if self.is_named else self.body

    @property
    def sent(self) -> str:
        """Return the path at which the upstream hears of it, without its query."""
        path = self.path.partition("?")[0].removeprefix("/v1beta").removeprefix("/v1")
        return self.base + path.replace("{model}", self.model)


def place_of(loaded: Case) -> Place | None:
    """Return the place of a case; None for a format or method that the gateway does not offer."""
    request = loaded["request"]
    url = urlsplit(request["url"])
    host = url.hostname or ""
    found = next((kind for end, kind in KINDS.items() if host.endswith(end)), None)
    if found is None or request["method"] != "POST":
        return None
    body = _body(loaded)
    if found[0] == "gemini":
        model, _, method = url.path.partition("/models/")[2].rpartition(":")
        alt = "?alt=sse" if dict(parse_qsl(url.query)).get("alt") == "sse" else ""
        return Place(f"/v1beta/models/{{model}}:{method}{alt}", *found, model, body, is_named=False)
    deployment = url.path.partition("/deployments/")[2].partition("/")[0]  # Azure's, in the URL
    model = body.get("model") or deployment
    path = "/v1" + next(end for end in PATHS if url.path.endswith(end))
    return Place(path, *found, model or "none", body, is_named=bool(model))


def _body(loaded: Case) -> dict[str, Any]:
    """Return the recorded request; two cases hold none."""
    body = loaded["request"]["body"]
    if body is None:
        is_stream = loaded["response"]["status"] == 200
        return {"model": "gpt-5", "input": "hello", "stream": is_stream}
    found: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
    return found
