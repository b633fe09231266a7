"""API keys: issued, rotated, revoked; every change is audited and acts at the next admission."""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from gateway.keys import tokens
from gateway.keys.models import ApiKey
from gateway.keys.tokens import Peppers

# What a successor takes over from the key that it replaces.
INHERITED = tuple(
    field.attname
    for field in ApiKey._meta.concrete_fields
    if field.attname
    not in {
        *("id", "organization_id", "lineage_id", "kid", "secret_hash", "pepper_version", "name"),
        *("expires_at", "revoked_at", "last_used_at", "created_at"),
    }
)


def issue(name: str, *, by: Actor, fields: Mapping[str, Any] | None = None) -> tuple[ApiKey, str]:
    """Make a key; return it and its text, which is shown once and kept nowhere.

    `fields` are further columns. Inside a tenant transaction.
    """
    token = tokens.mint(secrets.token_bytes(tokens.ENTROPY))
    peppers = Peppers.from_setting(settings.TOLLKEEPER_KEY_PEPPER)
    key = ApiKey(name=name, **(fields or {}))
    key.kid = token.kid
    key.pepper_version = peppers.newest
    key.secret_hash = peppers.digest(token.secret, peppers.newest)
    if by.kind == "user" and key.created_by_id is None:
        key.created_by_id = by.id
    key.save(force_insert=True)
    trail.append("api_key.issued", by=by, on=key, after=trail.snapshot(key))
    policy.changed(required())
    return key, token.text


def rotate(
    key: ApiKey,
    *,
    by: Actor,
    overlap_until: datetime,
    name: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make the successor of `key`, which itself ends at `overlap_until`.

    Both are one key to budgets, limits and reports: a new secret escapes no limit.
    """
    fields = {column: getattr(key, column) for column in INHERITED}
    fields |= {"lineage_id": key.lineage, "expires_at": expires_at}
    successor, text = issue(name or key.name, by=by, fields=fields)
    before = trail.snapshot(key)
    if key.expires_at is None or key.expires_at > overlap_until:
        key.expires_at = overlap_until
        key.save(update_fields=["expires_at"])
    trail.append("api_key.rotated", by=by, on=key, before=before, after=trail.snapshot(key))
    return successor, text


def change(key: ApiKey, *, by: Actor, fields: Collection[str]) -> None:
    """Save these columns of a key, what it may do; it holds from the next admission on."""
    if not fields:
        return
    before = trail.snapshot(ApiKey.objects.get(pk=key.pk))
    policy.changed(required())
    key.save(update_fields=fields)
    after = trail.snapshot(ApiKey.objects.get(pk=key.pk))
    trail.append("api_key.changed", by=by, on=key, before=before, after=after)


def revoke(key: ApiKey, *, by: Actor, at: datetime) -> None:
    """Refuse a key from its next admission on; revoking twice changes nothing."""
    if key.revoked_at is not None:
        return
    before = trail.snapshot(key)
    key.revoked_at = at
    key.save(update_fields=["revoked_at"])
    trail.append("api_key.revoked", by=by, on=key, before=before, after=trail.snapshot(key))
    policy.changed(required())
