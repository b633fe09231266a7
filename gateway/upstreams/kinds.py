"""What each kind of upstream is: its address, which formats it speaks and how, as data."""

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


def x_api_key(secret: str) -> Headers:
    """Return the header of Anthropic."""
    return [(b"x-api-key", secret.encode("ascii"))]


def x_goog_api_key(secret: str) -> Headers:
    """Return the header of Gemini."""
    return [(b"x-goog-api-key", secret.encode("ascii"))]


# Wire formats by the names that records call them.
CHAT = frozenset({"openai_chat"})
EMBEDDINGS = frozenset({"openai_embeddings"})
COMPLETIONS = frozenset({"openai_completions"})
OPENAI = CHAT | EMBEDDINGS | COMPLETIONS | {"openai_responses"}
MESSAGES = frozenset({"anthropic_messages"})
ANTHROPIC = MESSAGES | {"anthropic_count_tokens"}
GEMINI = frozenset({"gemini_generate", "gemini_embeddings", "gemini_count_tokens"})


@dataclass(frozen=True, slots=True)
class Speech:
    """How some formats are spoken: where under the base address, with which credential header."""

    formats: frozenset[str]
    credential: Callable[[str], Headers] = bearer
    under: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `provider` is its name in the price list, `base_url` is used where none is set."""

    base_url: str = ""
    provider: str = ""
    speeches: tuple[Speech, ...] = (Speech(OPENAI),)
    max_field: str = "max_tokens"  # the limit of output tokens, where the client named none
    injects_usage: bool = True  # understands `stream_options.include_usage`
    needs_credential: bool = True
    strip: frozenset[str] = frozenset()
    home: str = ""  # the path of an address without one, where `base_url` does not say
    domain: str = ""  # hosts under it are the provider's own, beside that of `base_url`
    states_cost: bool = False  # its answers say what it charged

    def is_own(self, origin: Origin) -> bool:
        """Tell whether an address is the provider's own, whose terms are known: errors are free."""
        if self.domain and origin.host.endswith(self.domain):
            return True
        return bool(self.base_url) and origin.host == urlsplit(self.base_url).hostname

    def speech(self, form: str) -> Speech | None:
        """Return how a format is spoken; None where it is not."""
        return next((speech for speech in self.speeches if form in speech.formats), None)

    def prefix(self, path: str, speech: Speech) -> str:
        """Return where `speech` is spoken; an address that ends at another one means the base.

        An address without a path means the usual one: client libraries want it without, too.
        """
        path = path or self.home or urlsplit(self.base_url).path
        for other in self.speeches:
            if other.under:
                path = path.removesuffix(other.under)
        return path + speech.under


KINDS: Mapping[str, Kind] = {
    "openai": Kind("https://api.openai.com/v1", "openai", max_field="max_completion_tokens"),
    # these three have OpenAI-compatible endpoints beside their own
    "anthropic": Kind(
        "https://api.anthropic.com/v1", "anthropic", (Speech(ANTHROPIC, x_api_key), Speech(CHAT))
    ),
    "gemini": Kind(
        "https://generativelanguage.googleapis.com/v1beta",
        "google",
        (Speech(GEMINI, x_goog_api_key), Speech(CHAT | EMBEDDINGS, under="/openai")),
    ),
    "deepseek": Kind(
        "https://api.deepseek.com",
        "deepseek",
        (Speech(CHAT), Speech(MESSAGES, x_api_key, under="/anthropic/v1")),
    ),
    "azure_openai": Kind(
        provider="azure",
        speeches=(Speech(OPENAI, api_key),),
        home="/openai/v1",
        domain=".azure.com",
        max_field="max_completion_tokens",
    ),
    "openrouter": Kind("https://openrouter.ai/api/v1", "openrouter", states_cost=True),
    "openai_compatible": Kind(needs_credential=False),
    "demo": Kind(
        "https://demo.invalid",
        "demo",
        (Speech(OPENAI), Speech(ANTHROPIC), Speech(GEMINI)),
        needs_credential=False,
    ),
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
