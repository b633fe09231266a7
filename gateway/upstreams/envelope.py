"""Provider credentials, sealed for the gateway alone and bound to the origin they are sent to."""

import base64
import binascii
import hashlib
import os
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attribution.outbound.addresses import Origin

FORMAT = b"\x01"
KEY_ID, PUBLIC, NONCE = 8, 32, 12
HEAD = len(FORMAT) + KEY_ID + PUBLIC + NONCE


class EnvelopeError(ValueError):
    """A credential that does not open: another key, another origin, another version, or damage."""

    code = "credential_unreadable"


class Sealable(Protocol):
    """The columns of an upstream that hold its credential."""

    id: UUID
    organization_id: UUID
    credential_sealed: bytes | None
    credential_hint: str
    credential_fingerprint: str
    credential_version: int
    credential_set_at: datetime | None


def private_key(setting: str) -> X25519PrivateKey:
    """Read TOLLKEEPER_WRAP_KEY, base64 of 32 bytes; only gateways have it."""
    return X25519PrivateKey.from_private_bytes(_decoded(setting))


def public_key(setting: str) -> X25519PublicKey:
    """Read a public key, base64 of 32 bytes, with which anyone can seal and nobody can open."""
    return X25519PublicKey.from_public_bytes(_decoded(setting))


def sealing_key(public: str, private: str) -> X25519PublicKey:
    """Return the key that seals: the public one, or that of the private key where both are held."""
    return public_key(public) if public else private_key(private).public_key()


def encoded(key: X25519PublicKey) -> str:
    """Write a public key as the setting has it."""
    return base64.b64encode(key.public_bytes_raw()).decode("ascii")


def bound_to(organization_id: UUID, upstream_id: UUID, origin: Origin, version: int) -> bytes:
    """Return the associated data: with another address or owner the credential does not open."""
    place = f"{origin.scheme},{origin.host},{origin.port}"
    return f"{organization_id}|{upstream_id}|{place}|{version}".encode()


def seal(secret: str, public: X25519PublicKey, *, associated: bytes) -> bytes:
    """Encrypt a credential under a key of its own that only the holder of the private key derives."""
    once = X25519PrivateKey.generate()
    mine, theirs = once.public_key().public_bytes_raw(), public.public_bytes_raw()
    key, nonce = _key(once.exchange(public), mine + theirs), os.urandom(NONCE)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), associated)
    return b"".join([FORMAT, key_id(public), mine, nonce, sealed])


def unseal(sealed: bytes, private: X25519PrivateKey, *, associated: bytes) -> str:
    """Decrypt a credential or raise EnvelopeError."""
    public = private.public_key()
    if len(sealed) < HEAD or sealed[:1] != FORMAT or sealed[1 : 1 + KEY_ID] != key_id(public):
        raise EnvelopeError("the credential was sealed for another key")
    once = sealed[1 + KEY_ID : 1 + KEY_ID + PUBLIC]
    shared = private.exchange(X25519PublicKey.from_public_bytes(once))
    key = _key(shared, once + public.public_bytes_raw())
    try:
        return AESGCM(key).decrypt(sealed[HEAD - NONCE : HEAD], sealed[HEAD:], associated).decode()
    except InvalidTag as error:
        raise EnvelopeError("the credential belongs to another origin, or is damaged") from error


def attach(
    upstream: Sealable, secret: str, public: X25519PublicKey, *, origin: Origin, at: datetime
) -> None:
    """Put a new credential into the columns of `upstream`; the caller saves them."""
    upstream.credential_version += 1
    associated = bound_to(
        upstream.organization_id, upstream.id, origin, upstream.credential_version
    )
    upstream.credential_sealed = seal(secret, public, associated=associated)
    upstream.credential_hint = secret[-4:] if len(secret) >= 16 else ""
    upstream.credential_fingerprint = hashlib.sha256(associated + secret.encode()).hexdigest()[:16]
    upstream.credential_set_at = at


def key_id(public: X25519PublicKey) -> bytes:
    """Return the name of a wrapping key, stored with what it seals."""
    return hashlib.sha256(public.public_bytes_raw()).digest()[:KEY_ID]


def _key(shared: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, b"tollkeeper credential" + info).derive(shared)


def _decoded(setting: str) -> bytes:
    try:
        raw = base64.b64decode(setting, validate=True)
    except binascii.Error as error:
        raise EnvelopeError("a wrapping key is base64 of 32 bytes") from error
    if len(raw) != PUBLIC:
        raise EnvelopeError("a wrapping key is base64 of 32 bytes")
    return raw
