"""The demo's upstreams and routes: the built-in one, an example, and providers whose key is at hand."""

import os
from datetime import datetime
from typing import cast

from django.conf import settings

from gateway.routes.models import Route, RouteTarget
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream, UpstreamKind

# where a key is in the environment: kind, and the names of its models
PROVIDERS = {
    "OPENAI_API_KEY": (UpstreamKind.OPENAI, ("gpt-*", "o3*", "o4*", "text-embedding-*")),
    "ANTHROPIC_API_KEY": (UpstreamKind.ANTHROPIC, ("claude-*",)),
    "GEMINI_API_KEY": (UpstreamKind.GEMINI, ("gemini-*",)),
    "DEEPSEEK_API_KEY": (UpstreamKind.DEEPSEEK, ("deepseek-*",)),
}


def create(*, at: datetime) -> None:
    """Create the upstreams of the organization being served."""
    demo = Upstream.objects.create(
        name="demo", kind=UpstreamKind.DEMO, provider="demo", is_error_unbilled=True
    )
    _route("demo", demo, "demo")
    example = Upstream.objects.create(
        name="example: a server of your own",
        kind=UpstreamKind.OPENAI_COMPATIBLE,
        base_url="http://127.0.0.1:8080/v1",
        is_active=False,
    )
    _route("my-model", example, "my-model", is_active=False)
    for variable, (kind, names) in PROVIDERS.items():
        if secret := os.environ.get(variable):
            _connect(kind, names, secret, at=at)


def _connect(kind: UpstreamKind, names: tuple[str, ...], secret: str, *, at: datetime) -> None:
    upstream = Upstream(
        name=kind.value,
        kind=kind,
        provider=kinds.KINDS[kind.value].provider,
        is_error_unbilled=True,
    )
    origin, _ = kinds.address(kind.value, "")
    public = envelope.sealing_key(settings.TOLLKEEPER_WRAP_PUBLIC_KEY, settings.TOLLKEEPER_WRAP_KEY)
    envelope.attach(cast("envelope.Sealable", upstream), secret, public, origin=origin, at=at)
    upstream.save(force_insert=True)
    for name in names:
        _route(name, upstream, "")


def _route(name: str, upstream: Upstream, model: str, *, is_active: bool = True) -> None:
    route = Route.objects.create(name=name, is_active=is_active)
    RouteTarget.objects.create(route=route, upstream=upstream, provider_model=model)
