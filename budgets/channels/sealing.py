"""Secrets of channels, sealed for the processes that deliver and bound to one channel and column."""

import base64
import os
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = b"\x01"
NONCE = 12
PURPOSE = b"tollkeeper channel"


class SealError(ValueError):
    """A secret that does not open: another instance secret, another channel, or damage."""

    code = "secret_unreadable"


def bound_to(organization_id: UUID, channel_id: UUID, column: str) -> bytes:
    """Return the associated data: moved to another channel or column, a secret does not open."""
    return f"{organization_id}|{channel_id}|{column}".encode()


def seal(secret: str, instance_secret: str, *, associated: bytes) -> bytes:
    """Encrypt a secret under a key that follows from the instance's own (AES-256-GCM)."""
    nonce = os.urandom(NONCE)
    return FORMAT + nonce + _cipher(instance_secret).encrypt(nonce, secret.encode(), associated)


def unseal(sealed: bytes, instance_secrets: Sequence[str], *, associated: bytes) -> str:
    """Decrypt with the newest instance secret that opens it; raise SealError when none does."""
    nonce, text = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
    for instance_secret in instance_secrets if sealed[:1] == FORMAT else ():
        try:
            return _cipher(instance_secret).decrypt(nonce, text, associated).decode()
        except InvalidTag:
            continue
    raise SealError("the secret was sealed by another instance or for another channel")


def mint() -> str:
    """Return a new signing secret as Standard Webhooks writes it: whsec_ and base64 of 32 bytes."""
    return f"whsec_{base64.b64encode(os.urandom(32)).decode('ascii')}"


def _cipher(instance_secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, PURPOSE).derive(instance_secret.encode()))
