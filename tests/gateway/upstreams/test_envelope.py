"""Provider credentials open for the gateway's key, at their own origin, and nowhere else."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attribution.outbound.addresses import Origin
from gateway.upstreams import envelope
from gateway.upstreams.envelope import EnvelopeError

PRIVATE = X25519PrivateKey.generate()
ORIGIN = Origin("https", "api.example.com", 443)
OWNER, PLACE = uuid.uuid4(), uuid.uuid4()
AT = datetime(2026, 1, 1, tzinfo=UTC)
BOUND = envelope.bound_to(OWNER, PLACE, ORIGIN, 1)


@dataclass
class Columns:
    id: uuid.UUID = PLACE
    organization_id: uuid.UUID = OWNER
    credential_sealed: bytes | None = None
    credential_hint: str = ""
    credential_fingerprint: str = ""
    credential_version: int = 0
    credential_set_at: datetime | None = None


def test_a_sealed_credential_opens_with_the_private_key_only() -> None:
    sealed = envelope.seal("sk-secret", PRIVATE.public_key(), associated=BOUND)

    assert b"sk-secret" not in sealed
    assert envelope.unseal(sealed, PRIVATE, associated=BOUND) == "sk-secret"
    with pytest.raises(EnvelopeError):
        envelope.unseal(sealed, X25519PrivateKey.generate(), associated=BOUND)


@pytest.mark.parametrize(
    "associated",
    [
        envelope.bound_to(OWNER, PLACE, Origin("https", "evil.example.com", 443), 1),
        envelope.bound_to(OWNER, PLACE, Origin("http", "api.example.com", 443), 1),
        envelope.bound_to(uuid.uuid4(), PLACE, ORIGIN, 1),
        envelope.bound_to(OWNER, uuid.uuid4(), ORIGIN, 1),
        envelope.bound_to(OWNER, PLACE, ORIGIN, 2),
    ],
)
def test_a_credential_does_not_open_for_another_origin_owner_or_version(associated: bytes) -> None:
    sealed = envelope.seal("sk-secret", PRIVATE.public_key(), associated=BOUND)

    with pytest.raises(EnvelopeError):
        envelope.unseal(sealed, PRIVATE, associated=associated)


def test_every_damaged_byte_is_noticed() -> None:
    sealed = envelope.seal("sk", PRIVATE.public_key(), associated=BOUND)

    for place in range(len(sealed)):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(EnvelopeError):
            envelope.unseal(bytes(broken), PRIVATE, associated=BOUND)


def test_attaching_a_credential_raises_its_version_and_shows_four_characters() -> None:
    upstream = Columns()

    envelope.attach(upstream, "sk-0123456789abcdef", PRIVATE.public_key(), origin=ORIGIN, at=AT)

    assert (upstream.credential_version, upstream.credential_hint) == (1, "cdef")
    assert upstream.credential_sealed is not None
    opened = envelope.unseal(upstream.credential_sealed, PRIVATE, associated=BOUND)
    assert opened == "sk-0123456789abcdef"


@pytest.mark.parametrize("setting", ["", "not base64!", "c2hvcnQ="])
def test_a_malformed_wrapping_key_is_refused(setting: str) -> None:
    with pytest.raises(EnvelopeError):
        envelope.private_key(setting)
