"""Signatures of webhooks, as https://www.standardwebhooks.com describes them."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes of a secret


class SigningSecretError(ValueError):
    """A signing secret that is none."""

    code = "signing_secret_malformed"


def key(secret: str) -> bytes:
    """Return the bytes of a secret: base64 after whsec_, 24 to 64 of them."""
    try:
        raw = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise SigningSecretError("a signing secret is whsec_ and base64") from error
    if not LEAST <= len(raw) <= MOST:
        raise SigningSecretError(f"a signing secret has {LEAST} to {MOST} bytes")
    return raw


def headers(
    message_id: str, body: bytes, *, secrets: Iterable[str], at: datetime
) -> dict[str, str]:
    """Return the headers that let the receiver know who sent this, when, and that it is whole.

    One signature per secret: while two are in force, either of them proves the sender.
    """
    stamp = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(sign(message_id, stamp, body, secret) for secret in secrets),
    }


def sign(message_id: str, stamp: str, body: bytes, secret: str) -> str:
    """Return the signature v1: base64 of HMAC-SHA256 over id, timestamp and body with dots between."""
    signed = b".".join([message_id.encode(), stamp.encode(), body])
    digest = hmac.digest(key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode('ascii')}"
