"""Prompt fingerprints: a keyed hash of a prompt's template, so that its text is never kept."""

import hashlib
import hmac
import re
import unicodedata
from uuid import UUID

SIZE = 16  # 128 bits
MAX_TEXT = 65_536  # a template is told apart by its beginning; the work per call stays bounded
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")

MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
# every quantifier that could meet another start position is bounded: hostile text stays linear
PLACEHOLDERS = [
    (re.compile(r"\bhttps?://\S+"), "<address>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "<address>"),
    (re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d[\d:.]{0,16}(?:z|[+-]\d\d:?\d\d)?)?"), "<date>"),
    (re.compile(rf"\b{MONTHS} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b"), "<date>"),
    (re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)? {MONTHS},? \d{{4}}\b"), "<date>"),
    (re.compile(r"\b\d{1,4}([/.])\d{1,2}\1\d{1,4}\b"), "<date>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<number>"),
]


class PromptNameError(ValueError):
    """A declared prompt name outside of the allowed alphabet or length."""

    code = "invalid_request"
    param = "x-prompt-name"


def organization_key(secret: bytes, organization_id: UUID) -> bytes:
    """Derive the organization's key (HKDF-SHA256, RFC 5869, one block) from the instance secret."""
    extracted = hmac.digest(b"tollkeeper prompt fingerprint", secret, "sha256")
    return hmac.digest(extracted, organization_id.bytes + b"\x01", "sha256")


def normalize(text: str) -> str:
    """Reduce a prompt to its template: what changes from call to call becomes a placeholder."""
    reduced = unicodedata.normalize("NFC", text[:MAX_TEXT]).lower()
    reduced = " ".join(reduced.split())
    for pattern, placeholder in PLACEHOLDERS:
        reduced = pattern.sub(placeholder, reduced)
    return reduced


def of_prompt(key: bytes, prompt: str, *, name: str | None = None) -> bytes | None:
    """Return the fingerprint of a declared name, else of the prompt's template; None of neither."""
    if name is not None:
        return _keyed(key, b"name\x00", check_name(name).encode())
    template = normalize(prompt)
    return _keyed(key, b"template\x00", template.encode()) if template else None


def of_body(key: bytes, body: bytes) -> bytes:
    """Return the keyed hash of a request body, by which an idempotency key knows its own."""
    return _keyed(key, b"body\x00", body)


def check_name(name: str) -> str:
    """Return a declared prompt name, `name@version`, or refuse it."""
    if not NAME.fullmatch(name):
        raise PromptNameError("a prompt name has 1 to 64 of A-Z a-z 0-9 . _ @ -")
    return name


def _keyed(key: bytes, domain: bytes, data: bytes) -> bytes:
    return hmac.new(key, domain + data, hashlib.sha256).digest()[:SIZE]
