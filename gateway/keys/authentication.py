"""API keys in the JSON API: named in the settings, so that lower packages need not know this one."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from gateway.keys import tokens
from gateway.keys.tokens import Peppers, Token

HEADERS = ("HTTP_X_API_KEY", "HTTP_X_GOOG_API_KEY")


@dataclass(frozen=True, slots=True)
class Program:
    """The user of a request that presents an API key: a program, no person."""

    key_id: UUID
    organization_id: UUID
    name: str
    scopes: tuple[str, ...] = ()
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    pk: None = None


class KeyAuthentication(BaseAuthentication):
    """Accepts `Authorization: Bearer`, x-api-key or x-goog-api-key; `request.auth` is the Program."""

    def authenticate(self, request: Request) -> tuple[Any, Program] | None:
        """Return the program; None without a key, so that others may authenticate."""
        presented = _presented(request)
        if not presented:
            return None
        if len(presented) > 1:
            raise AuthenticationFailed(_("Two different API keys were presented."))
        token = tokens.parse(presented.pop())
        program = look_up(token) if token else None
        if program is None:
            raise AuthenticationFailed(_("The API key is not valid."))
        return program, program

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, so that a refusal is a 401."""
        return "Bearer"


def look_up(token: Token) -> Program | None:
    """Return the program whose key this is, unless it is unknown, revoked or expired."""
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
        owner = UUID(row["organization_id"])
        return Program(UUID(row["id"]), owner, row["name"], tuple(row["scopes"]))
    return None


def _presented(request: Request) -> set[str]:
    found = {request.META[name].strip() for name in HEADERS if name in request.META}
    scheme, _space, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        found.add(value.strip())
    return found
