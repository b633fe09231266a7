"""Which pages may open a stream with their visitor's session: ours, whatever other sites try."""

from collections.abc import Mapping

from django.conf import settings
from django.http.request import split_domain_port, validate_host

FOREIGN = frozenset(
    {b"cross-site", b"same-site"}
)  # what a browser says of requests other sites make


def is_ours(headers: Mapping[bytes, bytes], *, is_required: bool) -> bool:
    """Say whether a page of this installation asks; browsers always name theirs for a WebSocket."""
    if headers.get(b"sec-fetch-site") in FOREIGN:
        return False
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return not is_required
    if origin in {settings.TOLLKEEPER_URL, *settings.CSRF_TRUSTED_ORIGINS}:
        return True
    host = headers.get(b"host", b"").decode("latin-1")
    scheme = "https" if settings.SESSION_COOKIE_SECURE else "http"
    is_known = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    return is_known and origin == f"{scheme}://{host}"
