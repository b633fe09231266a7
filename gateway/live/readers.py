"""Who may listen: a program with its key, a person with their session, looked up anew while they listen."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from attribution.isolation.transaction import tenant
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import Organization, User
from gateway.keys import authentication, scopes, tokens
from gateway.keys.authentication import BlockedError
from gateway.live.events import Event

PAGE = "gateway:live-show"  # whoever may see the page may listen
_sessions = import_module(settings.SESSION_ENGINE)


class RefusedError(Exception):
    """Somebody may not listen, or no longer; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose calls somebody may hear of."""

    organization_id: UUID
    cost_centers: frozenset[str] | None  # codes; None: all, and calls without one
    unusual_above: Decimal

    def may_hear(self, event: Event) -> bool:
        """Say whether the call is one of theirs."""
        return self.cost_centers is None or event.cost_center in self.cost_centers

    def mark(self, event: Event) -> Event:
        """Say of a call whether it cost more than is usual here."""
        event.anomaly = event.cost is not None and event.cost > self.unusual_above
        return event


Look = Callable[[], Reader]


def by_key(text: str) -> Reader:
    """Return the reader with a key; raises RefusedError."""
    token = tokens.parse(text)
    try:
        program = authentication.look_up(token) if token else None
    except BlockedError as error:
        raise RefusedError(error.code, str(error)) from error
    if program is None:
        raise RefusedError("invalid_api_key", gettext("The API key is not valid."))
    if not program.may(scopes.STREAM):
        raise RefusedError("scope_not_allowed", gettext("The API key may not do this."))
    with tenant(program.organization_id):
        codes = access.cost_centers_of(program).values_list("code", flat=True)
        seen = frozenset(codes) if program.is_narrowed else None
        organization = Organization.objects.get(pk=program.organization_id)
        return Reader(organization.pk, seen, organization.anomaly_call_usd)


def by_session(session_key: str) -> Reader:
    """Return the reader with a session; raises RefusedError."""
    request = HttpRequest()
    request.method = "GET"
    request.session = _sessions.SessionStore(session_key)
    request.user = get_user(request)
    if not isinstance(request.user, User):
        raise RefusedError("not_signed_in", gettext("Sign in first."))
    access.place(request, access.belongings(request.user.pk))
    found: list[Reader] = []
    try:
        access.serve(request, PAGE, lambda served: _note(served, found))
    except PermissionDenied as error:
        raise RefusedError("not_allowed", gettext("Your role may not listen.")) from error
    return found[0]


def looked(look: Look) -> Reader:
    """Look somebody up in a thread of its own accord: it keeps no connection."""
    try:
        return look()
    finally:
        connections.close_all()


def _note(served: OrganizationRequest, found: list[Reader]) -> HttpResponse:
    codes = access.cost_centers(served).values_list("code", flat=True)
    seen = frozenset(codes) if access.is_narrowed(served) else None
    found.append(Reader(served.organization.pk, seen, served.organization.anomaly_call_usd))
    return HttpResponse()
