"""Prompt fingerprints: a keyed hash of a prompt's template, so that its text is never kept."""

import hmac
import re
import unicodedata
from uuid import UUID

SIZE = 16  # 128 bits
MAX_TEXT = 65_536  # a template is told apart by its beginning; the work per call stays bounded
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")

# Every quantifier that could meet another start position is bounded: hostile text stays linear.
WEB = re.compile(r"\bhttps?://\S+")
MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
UUIDS = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])")
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
DIGITS = re.compile(
    r"(?P<address>\b\d{1,3}(?:\.\d{1,3}){3}\b)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d[\d:.]{0,16}(?:z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d{1,4}(?P<mark>[/.])\d{1,2}(?P=mark)\d{1,4}\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)? {MONTH},? \d{{4}}\b)"
    r"|(?P<number>\d+(?:[.,:]\d+)*)"
)
AMERICAN = re.compile(rf"\b{MONTH} <number>(?:st|nd|rd|th)?,? <number>")


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
    reduced = " ".join(unicodedata.normalize("NFC", text[:MAX_TEXT]).lower().split())
    if "://" in reduced:
        reduced = WEB.sub("<address>", reduced)
    if "@" in reduced:
        reduced = MAIL.sub("<address>", reduced)
    if reduced.count(":") > 1:
        reduced = IPV6.sub("<address>", reduced)
    return _without_digits(reduced)


def _without_digits(text: str) -> str:
    reduced = DIGITS.sub(_placeholder, UUIDS.sub("<uuid>", text))
    if "<number> <number>" in reduced or ", <number>" in reduced:
        reduced = AMERICAN.sub("<date>", reduced)
    return reduced


def _placeholder(found: re.Match[str]) -> str:
    if found["number"]:
        return "<number>"
    return "<address>" if found["address"] else "<date>"


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
    return hmac.digest(key, domain + data, "sha256")[:SIZE]
