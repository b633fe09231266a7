"""The keys a person may look at, searched, page by page, each with its state at an instant."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy import access, blocks, roles
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import BlockedKind
from gateway.keys import scopes
from gateway.keys.forms import SCOPES
from gateway.keys.models import ApiKey

PAGE = 50
SOON = timedelta(days=14)
IDLE = timedelta(days=90)
SHORTLY = {
    scopes.CALL: _("calls"),
    scopes.COSTS: _("costs"),
    scopes.INGEST: _("reports"),
    scopes.STREAM: _("live stream"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A key as the list shows it: `level` is good, warn or bad, `word` says the same."""

    key: ApiKey
    level: str
    word: str

    @classmethod
    def of(cls, key: ApiKey, at: datetime, blocked: Collection[UUID] = ()) -> "Line":
        """Say how a key stands; `blocked` are the lineages that the kill switch stops."""
        if key.revoked_at is not None:
            return cls(key, "bad", gettext("revoked"))
        if key.lineage in blocked:
            return cls(key, "bad", gettext("blocked"))
        if key.expires_at is None:
            return cls(key, "good", gettext("works"))
        if key.expires_at <= at:
            return cls(key, "bad", gettext("expired"))
        is_soon = key.expires_at - at < SOON
        return cls(
            key,
            "warn" if is_soon else "good",
            gettext("ends soon") if is_soon else gettext("works"),
        )

    @property
    def is_alive(self) -> bool:
        """Say whether the key is accepted now."""
        return self.level != "bad"

    @property
    def prefix(self) -> str:
        """Return the public beginning of the key, by which programs' owners know it."""
        return f"tk_live_{self.key.kid}_…"

    @property
    def may(self) -> list[str]:
        """Say what the key may do."""
        return [str(label) for name, label in SCOPES if scopes.allows(self.key.scopes, name)]

    @property
    def may_shortly(self) -> list[str]:
        """Say what the key may do, in a word each."""
        return [str(word) for name, word in SHORTLY.items() if scopes.allows(self.key.scopes, name)]

    @property
    def is_unlimited(self) -> bool:
        """Say whether the key may do everything."""
        return not self.key.scopes


@dataclass(frozen=True, slots=True)
class Shelf:
    """One page of the list."""

    lines: list[Line]
    search: str
    state: str  # works | ended | all
    next_url: str
    is_first: bool
    finding: str


def visible(request: OrganizationRequest) -> QuerySet[ApiKey]:
    """Return the keys this person may look at: an engineer's own, a department's, or all."""
    rows = ApiKey.objects.select_related("cost_center", "created_by")
    if access.is_narrowed(request):
        rows = rows.filter(cost_center__in=access.cost_centers(request))
    if access.role_of(request) == roles.ENGINEER:
        rows = rows.filter(Q(created_by=request.user) | Q(user_name__iexact=request.user.email))
    return rows


def key(request: OrganizationRequest, public_id: str) -> ApiKey:
    """Return a key this person may look at; 404 for any other id."""
    return access.loaded(visible(request), public_id)


def others_of(chosen: ApiKey, at: datetime) -> QuerySet[ApiKey]:
    """Return the other secrets of the same key that still work."""
    alive = Q(expires_at=None) | Q(expires_at__gt=at)
    same = Q(pk=chosen.lineage) | Q(lineage_id=chosen.lineage)
    return ApiKey.objects.filter(same, alive, revoked_at=None).exclude(pk=chosen.pk)


def page(request: OrganizationRequest, at: datetime) -> Shelf:
    """Return the page of the list that the URL asks for, by name."""
    query = request.GET
    search = query.get("q", "").strip()[:64]
    state = query.get("state", "works")
    rows = _found(_in_state(visible(request), state, at), search)
    after = _place(query)
    if after is not None:
        name, row = after
        rows = rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=row))
    found = list(rows.order_by("name", "pk")[: PAGE + 1])
    stopped = blocks.standing().filter(kind=BlockedKind.API_KEY)
    blocked = set(stopped.values_list("target_id", flat=True))
    lines = [Line.of(each, at, blocked) for each in found[:PAGE]]
    return Shelf(lines, search, state, _next(query, found), after is None, finding(request, at))


def finding(request: OrganizationRequest, at: datetime) -> str:
    """Say in a sentence how the keys stand; nothing when there is none."""
    soon = Q(expires_at__lte=at + SOON)
    found = _in_state(visible(request), "works", at).aggregate(
        works=Count("pk"), ending=Count("pk", filter=soon), idle=Count("pk", filter=_idle(at))
    )
    works, ending, idle = found["works"], found["ending"], found["idle"]
    if not works:
        return ""
    text = ngettext("%(number)d key works", "%(number)d keys work", works) % {"number": works}
    if ending:
        words = ngettext("%(number)d ends soon", "%(number)d end soon", ending)
        text = f"{text} · {words % {'number': ending}}"
    if idle:
        words = ngettext(
            "%(number)d was not used for 90 days", "%(number)d were not used for 90 days", idle
        )
        text = f"{text} · {words % {'number': idle}}"
    return text


def _idle(at: datetime) -> Q:
    """Return the keys that nobody has needed for a long time."""
    since = at - IDLE
    return Q(created_at__lt=since) & (Q(last_used_at=None) | Q(last_used_at__lt=since))


def _in_state(rows: QuerySet[ApiKey], state: str, at: datetime) -> QuerySet[ApiKey]:
    ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=at)
    if state == "ended":
        return rows.filter(ended)
    return rows if state == "all" else rows.exclude(ended)


def _found(rows: QuerySet[ApiKey], search: str) -> QuerySet[ApiKey]:
    if not search:
        return rows
    kid = search.removeprefix("tk_live_").split("_")[0]
    names = ("name__icontains", "notes__icontains", "user_name__icontains")
    places = ("cost_center__code__icontains", "cost_center__name__icontains")
    wanted = Q(kid__startswith=kid) if kid else Q()
    for name in (*names, *places):
        wanted |= Q(**{name: search})
    return rows.filter(wanted)


def _place(query: QueryDict) -> tuple[str, UUID] | None:
    """Return the last key of the page before; a place that cannot be read is the beginning."""
    name, _tilde, row = query.get("after", "").rpartition("~")
    try:
        return name, UUID(row)
    except ValueError:
        return None


def _next(query: QueryDict, found: list[Any]) -> str:
    if len(found) <= PAGE:
        return ""
    last, parameters = found[PAGE - 1], query.copy()
    parameters["after"] = f"{last.name}~{last.pk}"
    return f"?{parameters.urlencode()}"
