"""What each kind of upstream is: its address, credential header, wire quirks, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from attribution.outbound.addresses import AddressError, Origin

Headers = list[tuple[bytes, bytes]]


def bearer(secret: str) -> Headers:
    """Return the header of OpenAI and its imitations."""
    return [(b"authorization", b"Bearer " + secret.encode("ascii"))]


def api_key(secret: str) -> Headers:
    """Return the header of Azure."""
    return [(b"api-key", secret.encode("ascii"))]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `provider` is its name in the price list, `base_url` is used where none is set."""

    base_url: str = ""
    provider: str = ""
    credential: Callable[[str], Headers] = bearer
    max_field: str = "max_tokens"  # the limit of output tokens, where the client named none
    injects_usage: bool = True  # understands `stream_options.include_usage`
    needs_credential: bool = True
    strip: frozenset[str] = frozenset()


KINDS: Mapping[str, Kind] = {
    "openai": Kind("https://api.openai.com/v1", "openai", max_field="max_completion_tokens"),
    # these three through their OpenAI-compatible endpoints
    "anthropic": Kind("https://api.anthropic.com/v1", "anthropic"),
    "gemini": Kind("https://generativelanguage.googleapis.com/v1beta/openai", "google"),
    "deepseek": Kind("https://api.deepseek.com", "deepseek"),
    "azure_openai": Kind(provider="azure", credential=api_key, max_field="max_completion_tokens"),
    "openrouter": Kind("https://openrouter.ai/api/v1", "openrouter"),
    "openai_compatible": Kind(needs_credential=False),
    "demo": Kind("https://demo.invalid", "demo", needs_credential=False),
}


def address(kind: str, base_url: str) -> tuple[Origin, str]:
    """Return origin and path prefix of an upstream; raise AddressError for what is no address."""
    url = base_url.strip() or KINDS[kind].base_url
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise AddressError("The address is not one.") from error
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.password:
        raise AddressError("The address must be http or https, with a host and without a user.")
    if parts.fragment or parts.query or not parts.path.isascii() or " " in parts.path:
        raise AddressError("The address must end with its path.")
    return Origin(parts.scheme, host, port), parts.path.rstrip("/")
