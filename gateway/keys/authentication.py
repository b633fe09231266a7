"""API keys in the JSON API: named in the settings, so that lower packages need not know this one."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError, PermissionDenied
from rest_framework.request import Request

from attribution.tenancy.program import Program
from gateway.keys import tokens
from gateway.keys.tokens import Peppers, Token

MINUTE_MS = 60_000
HEADERS = ("HTTP_X_API_KEY", "HTTP_X_GOOG_API_KEY")


class BlockedError(Exception):
    """The kill switch stops the key, or the whole organization."""

    code = "blocked"

    def __init__(self, kind: str, name: str) -> None:
        """Say what is blocked; not why, nor by whom."""
        texts = {
            "organization": _("The organization %(name)s is blocked."),
            "api_key": _("The API key %(name)s is blocked."),
        }
        super().__init__(texts[kind] % {"name": name})


class KeyAuthentication(BaseAuthentication):
    """Accepts `Authorization: Bearer`, x-api-key or x-goog-api-key; `request.auth` is the Program.

    A view says with `key_scope` what a key must be allowed to do there; a view that does not is
    open to keys of every scope only.
    """

    def authenticate(self, request: Request) -> tuple[Any, Program] | None:
        """Return the program; None without a key, so that others may authenticate."""
        presented = _presented(request)
        if not presented:
            return None
        if len(presented) > 1:
            message = _("Two different API keys were presented.")
            raise ParseError(message, code="conflicting_credentials")
        token = tokens.parse(presented.pop())
        try:
            program = look_up(token) if token else None
        except BlockedError as error:
            raise PermissionDenied(str(error), code=error.code) from error
        if program is None:
            raise AuthenticationFailed(_("The API key is not valid."))
        view = (request.parser_context or {}).get("view")
        if not program.may(getattr(view, "key_scope", "")):
            raise PermissionDenied(_("The API key may not do this."), code="scope_not_allowed")
        return program, program

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, so that a refusal is a 401."""
        return "Bearer"


def look_up(token: Token) -> Program | None:
    """Return the program whose key this is, unless it is unknown, revoked or expired.

    Raises BlockedError while the kill switch stops it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT gateway_lookup(%s::jsonb)::text", [json.dumps({"kid": token.kid})])
        (found,) = cursor.fetchone()
    peppers = Peppers.from_setting(settings.TOLLKEEPER_KEY_PEPPER)
    now_ms = int(timezone.now().timestamp() * 1000)
    for row in json.loads(found):
        stored = bytes.fromhex(row["digest"])
        if not peppers.is_digest(stored, token.secret, row["pepper_version"]):
            continue
        if not row["is_active"] or (row["expires_ms"] or now_ms + 1) <= now_ms:
            return None
        if block := row["block"]:
            raise BlockedError(block["kind"], block["name"])
        _note_use(row, now_ms)
        return Program.from_row(row)
    return None


def _note_use(row: Mapping[str, Any], now_ms: int) -> None:
    """Note that a key was presented, at most once a minute."""
    if (row["used_ms"] or 0) > now_ms - MINUTE_MS:
        return
    use = {"organization_id": row["organization_id"], "id": row["key_id"], "at_ms": now_ms}
    with connection.cursor() as cursor:
        cursor.execute("SELECT gateway_used(%s::jsonb)", [json.dumps([use])])


def _presented(request: Request) -> set[str]:
    found = {request.META[name].strip() for name in HEADERS if name in request.META}
    scheme, _space, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        found.add(value.strip())
    return found
