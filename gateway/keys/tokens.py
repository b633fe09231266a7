"""The text of an API key: its format, its checksum, and the keyed digest that is stored of it."""

import base64
import binascii
import hmac
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = frozenset(ALPHABET)
PREFIX = "tk_live_"
KID, SECRET, CHECK = 12, 43, 6  # 43 digits of base 62 hold 256 bits
LENGTH = len(PREFIX) + KID + 1 + SECRET + 1 + CHECK
ENTROPY = 9 + 32  # bytes that `mint` wants


class PepperError(ValueError):
    """TOLLKEEPER_KEY_PEPPER is not `version:base64`, or lacks a version that a key was made with."""

    code = "invalid_pepper"


@dataclass(frozen=True, slots=True)
class Token:
    """A key that is well formed; nothing is known yet of whether it exists."""

    kid: str
    secret: str

    @property
    def text(self) -> str:
        """Return what the program presents."""
        body = f"{PREFIX}{self.kid}_{self.secret}"
        return f"{body}_{_checksum(body)}"

    def __repr__(self) -> str:
        return f"Token({self.kid})"  # never the secret


@dataclass(frozen=True, slots=True)
class Peppers:
    """Peppers by version; the newest one makes new digests. They never enter the database."""

    by_version: Mapping[int, bytes]

    @classmethod
    def from_setting(cls, text: str) -> "Peppers":
        """Read `version:base64`, several with commas between them while they are changed."""
        try:
            pairs = [entry.strip().split(":", 1) for entry in text.split(",") if entry.strip()]
            found = {int(number): base64.b64decode(value) for number, value in pairs}
        except (ValueError, binascii.Error) as error:
            raise PepperError("a pepper is written version:base64") from error
        if not found:
            raise PepperError("TOLLKEEPER_KEY_PEPPER is missing")
        return cls(found)

    def __repr__(self) -> str:
        return f"Peppers({sorted(self.by_version)})"

    @property
    def newest(self) -> int:
        """Return the version that new keys are made with."""
        return max(self.by_version)

    def digest(self, secret: str, version: int) -> bytes:
        """Return what is stored of a secret."""
        if version not in self.by_version:
            raise PepperError(f"there is no pepper of version {version}")
        return hmac.digest(self.by_version[version], secret.encode(), "sha256")

    def is_digest(self, stored: bytes, secret: str, version: int) -> bool:
        """Tell in constant time whether `stored` was made of `secret`; an unknown version costs the same."""
        pepper = self.by_version.get(version, b"")
        found = hmac.digest(pepper, secret.encode(), "sha256")
        return hmac.compare_digest(stored, found) and bool(pepper)


def mint(entropy: bytes) -> Token:
    """Make a key of 41 random bytes."""
    if len(entropy) != ENTROPY:
        raise ValueError(f"a key is made of {ENTROPY} random bytes")
    return Token(_base62(entropy[:9], KID), _base62(entropy[9:], SECRET))


def parse(text: str) -> Token | None:
    """Read a key; None for anything that cannot be one, typos included."""
    if len(text) != LENGTH or not text.startswith(PREFIX):
        return None
    body, _, check = text.rpartition("_")
    kid, _, secret = body.removeprefix(PREFIX).partition("_")
    if len(kid) != KID or not DIGITS.issuperset(kid) or not DIGITS.issuperset(secret):
        return None
    return Token(kid, secret) if check == _checksum(body) else None


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()).to_bytes(4, "big"), CHECK)


def _base62(data: bytes, length: int) -> str:
    number, digits = int.from_bytes(data, "big"), []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
