"""The demo's keys: the one that programs use at once, and some as a company has them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from attribution.audit.trail import SYSTEM, Actor
from attribution.tenancy import blocks
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import BlockedKind, CostCenter, Membership, Role, User
from budgets.reservations.ingest import Event
from gateway.keys import keyring, scopes
from gateway.keys.models import ApiKey

USED_BY = {"agent-runs": "Agents"}  # which calls of the story a key made, by feature


def attributed(events: Iterable[Event]) -> list[Event]:
    """Say of the calls of the story which were made with a key that has a name."""
    made = {key.name: key for key in ApiKey.objects.filter(name__in=USED_BY.values())}
    return [_with_key(event, made) for event in events]


def _with_key(event: Event, made: Mapping[str, ApiKey]) -> Event:
    key = made.get(USED_BY.get(event.columns["feature"], ""))
    if key is None:
        return event
    named = {"api_key_id": str(key.lineage), "api_key_name": key.name}
    return replace(event, columns={**event.columns, **named})


def add_examples(person: User | None, *, at: datetime) -> None:
    """Issue keys nobody holds the secret of: pinned, for reports, replaced, revoked."""
    centers = list(CostCenter.objects.exclude(code="DEFAULT").order_by("created_at", "code")[:2])
    pinned = {"is_cost_center_pinned": True, "created_by": person}
    batch = {
        **pinned,
        "cost_center": centers[0],
        "allowed_models": ["demo", "gpt-4o-*"],
        "scopes": [scopes.CALL, scopes.INGEST],
        "notes": "Runs at 02:00 on the build server.",
    }
    key, _secret = keyring.issue("Nightly batch", by=SYSTEM, fields=batch)
    keyring.rotate(key, by=SYSTEM, overlap_until=at + timedelta(days=7))
    agents = {"created_by": person, "notes": "The agents of the research team."}
    keyring.issue("Agents", by=SYSTEM, fields=agents)
    reader = {"scopes": [scopes.COSTS, scopes.STREAM], "notes": "Wall screen in the hall."}
    keyring.issue("Dashboard reader", by=SYSTEM, fields=reader)
    notebook = {**pinned, "cost_center": centers[-1], "expires_at": at + timedelta(days=80)}
    lost, _secret = keyring.issue("Old notebook", by=SYSTEM, fields=notebook)
    _block_for_a_while(lost, person, at=at - timedelta(days=13))
    keyring.revoke(lost, by=SYSTEM, at=at - timedelta(days=12))
    ApiKey.objects.filter(name="Demo program").update(last_used_at=at)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=at - timedelta(hours=9))


def _block_for_a_while(key: ApiKey, person: User | None, *, at: datetime) -> None:
    """Have an engineer block a key of theirs, and finance unblock it once it is to be revoked."""
    finance = Membership.objects.filter(role=Role.FINANCE).first()
    by = Actor("user", person.pk) if person else SYSTEM
    target = Target(BlockedKind.API_KEY, key.lineage, key.name)
    reason = "A secret of it was found in a notebook that was shared outside."
    block = blocks.impose(target, reason=reason, is_cut=False, by=by, at=at)
    by = Actor("user", finance.user_id) if finance else SYSTEM
    blocks.lift(block, by=by, at=at + timedelta(hours=20))
