"""Channels: made, changed, given another address or secret, put away; every step is audited."""

from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from attribution.audit import trail
from attribution.audit.trail import SYSTEM, Actor
from attribution.isolation.transaction import required
from budgets.channels import sealing
from budgets.channels.models import Channel, ChannelKind

OVERLAP = timedelta(hours=24)  # during which the old signing secret still signs
ADDRESS, SECRET = "address", "secret"
SEALED = {ADDRESS: ("address_sealed", "address_hint", "refused_at"), SECRET: ("secret_sealed",)}


def make(channel: Channel, *, by: Actor) -> str:
    """Save a new channel; return the secret that signs, which is shown once, or nothing."""
    secret = ""
    if channel.kind == ChannelKind.WEBHOOK:
        secret = sealing.mint()
        channel.secret_sealed = _sealed(channel, SECRET, secret)
    channel.created_by_id = by.id
    channel.save(force_insert=True)
    trail.append("channel.created", by=by, on=channel, after=trail.snapshot(channel))
    return secret


def change(channel: Channel, *, by: Actor, fields: Collection[str]) -> None:
    """Save these columns of a channel, `address` meaning those that hold it."""
    columns = [name for name in fields if name != ADDRESS]
    columns += SEALED[ADDRESS] if ADDRESS in fields else ()
    if not columns:
        return
    before = trail.snapshot(Channel.objects.get(pk=channel.pk))
    channel.save(update_fields=columns)
    after = trail.snapshot(Channel.objects.get(pk=channel.pk))
    trail.append("channel.changed", by=by, on=channel, before=before, after=after)


def rotate(channel: Channel, *, by: Actor, at: datetime) -> str:
    """Give a channel a new signing secret and return it; for a day both sign."""
    secret = sealing.mint()
    previous = _sealed(channel, "previous", _opened(channel, SECRET, channel.secret_sealed))
    channel.previous_secret_sealed, channel.previous_secret_until = previous, at + OVERLAP
    channel.secret_sealed = _sealed(channel, SECRET, secret)
    columns = ["previous_secret_sealed", "previous_secret_until", *SEALED[SECRET]]
    channel.save(update_fields=columns)
    trail.append("channel.rotated", by=by, on=channel)
    return secret


def archive(channel: Channel, *, by: Actor, at: datetime) -> None:
    """Put a channel away: nothing goes there any more, what went there stays in the history."""
    before = trail.snapshot(channel)
    channel.archived_at, channel.is_active = at, False
    channel.save(update_fields=["archived_at", "is_active"])
    after = trail.snapshot(channel)
    trail.append("channel.archived", by=by, on=channel, before=before, after=after)


def refuse(channel_id: UUID, *, at: datetime) -> None:
    """Switch a channel off that answered it is gone for good (410)."""
    channel = Channel.objects.select_for_update().get(pk=channel_id)
    before = trail.snapshot(channel)
    channel.is_active, channel.refused_at = False, at
    channel.save(update_fields=["is_active", "refused_at"])
    after = trail.snapshot(channel)
    trail.append("channel.refused", by=SYSTEM, on=channel, before=before, after=after)


def put_address(channel: Channel, url: str) -> None:
    """Seal an address into the columns of a channel; the caller saves them."""
    channel.address_sealed = _sealed(channel, ADDRESS, url)
    channel.address_hint = f"{urlsplit(url).hostname}/…{url[-4:]}"[:128]
    channel.refused_at = None


def address(channel: Channel) -> str:
    """Return the address of a webhook; raise SealError when it does not open."""
    return _opened(channel, ADDRESS, channel.address_sealed)


def secrets_of(channel: Channel, *, at: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    found = [_opened(channel, SECRET, channel.secret_sealed)]
    until = channel.previous_secret_until
    if channel.previous_secret_sealed is not None and until is not None and at < until:
        found.append(_opened(channel, "previous", channel.previous_secret_sealed))
    return found


def _sealed(channel: Channel, column: str, secret: str) -> bytes:
    place = sealing.bound_to(required(), channel.pk, column)
    return sealing.seal(secret, settings.SECRET_KEY, associated=place)


def _opened(channel: Channel, column: str, sealed: bytes | memoryview | None) -> str:
    place = sealing.bound_to(required(), channel.pk, column)
    known = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return sealing.unseal(bytes(sealed or b""), known, associated=place)
