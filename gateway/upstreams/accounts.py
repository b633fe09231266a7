"""Upstreams: made, changed, given another credential, tested; every step is audited."""

from collections.abc import Collection
from datetime import datetime, timedelta

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from gateway.upstreams.models import Upstream, UpstreamProbe

AGAIN = timedelta(seconds=10)  # between two tests of one upstream
MINUTE = timedelta(minutes=1)
TESTS = 10  # of an organization in a minute
SEALED = (
    *("credential_sealed", "credential_hint", "credential_fingerprint"),
    *("credential_version", "credential_set_at"),
)


class TooManyTestsError(ValueError):
    """An upstream, or an organization's upstreams together, were tested a moment ago."""

    code = "rate_limited"


def make(upstream: Upstream, *, by: Actor) -> None:
    """Save a new upstream; calls reach it once a route leads there."""
    policy.changed(required())
    upstream.save(force_insert=True)
    trail.append("upstream.created", by=by, on=upstream, after=trail.snapshot(upstream))


def change(upstream: Upstream, *, by: Actor, fields: Collection[str]) -> None:
    """Save these columns of an upstream, `credential` meaning those that hold it."""
    columns = [name for name in fields if name != "credential"]
    columns += SEALED if "credential" in fields else ()
    if not columns:
        return
    before = trail.snapshot(Upstream.objects.get(pk=upstream.pk))
    policy.changed(required())
    upstream.save(update_fields=columns)
    after = trail.snapshot(Upstream.objects.get(pk=upstream.pk))
    if before != after:
        trail.append("upstream.changed", by=by, on=upstream, before=before, after=after)
    if "credential" in fields:
        trail.append("upstream.resealed", by=by, on=upstream)


def test(upstream: Upstream, *, by: Actor, at: datetime) -> UpstreamProbe:
    """Ask for a test; a gateway, which alone opens the credential, carries it out within seconds.

    Raises TooManyTestsError within 10 s of the last test, or after 10 of the organization's upstreams
    in a minute.
    """
    recent = UpstreamProbe.objects.filter(asked_at__gt=at - MINUTE)
    if recent.filter(upstream=upstream, asked_at__gt=at - AGAIN).exists():
        raise TooManyTestsError("it was tested a moment ago")
    if recent.count() >= TESTS:
        raise TooManyTestsError("many upstreams were tested in the last minute")
    fresh = {"asked_at": at, "asked_by_id": by.id, "taken_at": None, "answered_at": None}
    found = {"code": "", "http_status": None, "latency_ms": None, "model_count": None, "quote": ""}
    probe, _is_new = UpstreamProbe.objects.update_or_create(
        upstream=upstream, defaults={**fresh, **found}
    )
    trail.append("upstream.tested", by=by, on=upstream)
    return probe
