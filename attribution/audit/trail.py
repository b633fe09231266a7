"""The audit trail: alone may add entries, seal their chain and verify it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, models

from attribution.audit.models import AuditEntry, AuditSeal
from attribution.isolation.transaction import required

SECRET_WORDS = ("secret", "password", "hash", "credential", "token")
GENESIS = "0" * 64
BATCH = 1000

Snapshot = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: kind `user`, `api_key`, `command` or `system`."""

    kind: str
    id: UUID | None = None
    ip: str | None = None
    request_id: str = ""


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place at which the chain of an organization is broken."""

    seq: int
    entry_id: UUID
    reason: str


def append(
    action: str,
    *,
    by: Actor,
    on: models.Model,
    before: Snapshot | None = None,
    after: Snapshot | None = None,
) -> AuditEntry:
    """Add an entry in the caller's transaction; it stands or falls with what it tells of.

    `before` and `after` come from `snapshot`: only their digests and what differs are kept.
    """
    return AuditEntry.objects.create(
        actor_type=by.kind,
        actor_id=by.id,
        action=action,
        object_type=on._meta.model_name or "",
        object_id=str(on.pk),
        changes=differences(before or {}, after or {}),
        before_hash=digest(before) if before else "",
        after_hash=digest(after) if after else "",
        ip=by.ip,
        request_id=by.request_id,
    )


def snapshot(row: models.Model) -> dict[str, str | None]:
    """Return the columns of a row as text; of secrets only whether they are set."""
    return {
        field.attname: _shown(field, getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if field.attname != "organization_id"
    }


def differences(before: Snapshot, after: Snapshot) -> dict[str, list[str | None]]:
    """Return what differs, as [before, after] by column."""
    names = sorted({*before, *after})
    return {n: [before.get(n), after.get(n)] for n in names if before.get(n) != after.get(n)}


def digest(values: Mapping[str, Any]) -> str:
    """Return the digest of a row as text."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seal() -> int:
    """Give every unsealed entry of the organization its place in the chain; return how many.

    Lock: one sealer per organization at a time. Idempotent.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s::uuid::text, 11))", [required()]
        )
    last = AuditSeal.objects.order_by("-seq").first()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    sealed = models.Exists(AuditSeal.objects.filter(id=models.OuterRef("id")))
    entries = AuditEntry.objects.filter(~sealed).order_by("at", "id")[:BATCH]
    seals: list[AuditSeal] = []
    for entry in entries:
        seq, following = seq + 1, link(previous, entry)
        seals.append(AuditSeal(id=entry.id, seq=seq, prev_hash=previous, hash=following))
        previous = following
    AuditSeal.objects.bulk_create(seals)
    return len(seals)


def verify() -> Fault | None:
    """Return the first altered, missing or inserted link of the organization's chain, if any."""
    entries = _by_id()
    previous = GENESIS
    for expected, one in enumerate(AuditSeal.objects.order_by("seq").iterator(), start=1):
        entry = entries(one.id)
        if one.seq != expected:
            return Fault(one.seq, one.id, "a seal is missing before this one")
        if entry is None:
            return Fault(one.seq, one.id, "the sealed entry is missing")
        if one.prev_hash != previous or one.hash != link(previous, entry):
            return Fault(one.seq, one.id, "the entry was altered")
        previous = one.hash
    return None


def anchor() -> tuple[int, str]:
    """Return place and hash of the newest seal: kept elsewhere, it reveals a rewritten chain."""
    last = AuditSeal.objects.order_by("-seq").first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def link(previous: str, entry: AuditEntry) -> str:
    """Return the hash that ties an entry to the one before it."""
    values = {
        "id": str(entry.id),
        "organization_id": str(entry.organization_id),
        "at": entry.at.isoformat(),
        "actor_type": entry.actor_type,
        "actor_id": str(entry.actor_id),
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "changes": entry.changes,
        "before_hash": entry.before_hash,
        "after_hash": entry.after_hash,
        "ip": entry.ip,
        "request_id": entry.request_id,
    }
    return digest({"previous": previous, "entry": values})


def history(row: models.Model) -> models.QuerySet[AuditEntry]:
    """Return the entries about one row, the newest first."""
    return AuditEntry.objects.filter(
        object_type=row._meta.model_name, object_id=str(row.pk)
    ).order_by("-at", "-id")


def _by_id() -> Any:
    """Return a look-up of sealed entries that reads them in batches, in the order of the chain."""
    found: dict[UUID, AuditEntry] = {}
    ids: Iterator[UUID] = AuditSeal.objects.order_by("seq").values_list("id", flat=True).iterator()

    def entry(entry_id: UUID) -> AuditEntry | None:
        if entry_id not in found:
            found.clear()
            batch = [i for _, i in zip(range(BATCH), ids, strict=False)]
            found.update({e.id: e for e in AuditEntry.objects.filter(id__in=batch)})
        return found.get(entry_id)

    return entry


def _shown(field: Any, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(field, models.BinaryField) or any(w in field.attname for w in SECRET_WORDS):
        return "set" if value else ""
    if isinstance(field, models.DecimalField):
        return f"{value.normalize():f}" if hasattr(value, "normalize") else str(value)
    return str(value)
