"""Upstreams as pages show them: state, last failure, last test, the routes that lead there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.isolation.transaction import required
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from gateway.upstreams import kinds
from gateway.upstreams.models import Upstream, UpstreamKind, UpstreamProbe

REST = timedelta(minutes=1)
PATIENCE = timedelta(seconds=20)  # after which no gateway is expected to answer a test any more
FAILURES = 2000  # failed tries that are looked through, the newest first
# What a test found, in words.
FOUND = {
    "": _("It answers and accepts the credential."),
    "credential_refused": _("It refuses the credential: give it another one."),
    "no_such_path": _("The host answers, the path does not: check the address."),
    "no_list": _("The address answers, but not as this kind of service: check its path."),
    "redirected": _("It sends elsewhere, and redirects are not followed: write the final address."),
    "rate_limited": _("It answers that too much was asked: the credential counts, try later."),
    "upstream_error": _("It answers with an error."),
    "upstream_unreachable": _(
        "It cannot be reached: the name does not resolve, nobody answers, or it is no public address "
        "and the operator's TOLLKEEPER_EGRESS_ALLOW does not name it."
    ),
    "upstream_timeout": _("It did not answer in time."),
    "credential_unreadable": _(
        "The gateway has no credential that it can open for this address: type it again."
    ),
    "not_sendable": _("The address or the credential cannot be sent: check both."),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The newest try that failed within a day."""

    at: datetime
    status: int | None
    code: str


@dataclass(frozen=True, slots=True)
class Test:
    """What the latest test found, or that it waits."""

    probe: UpstreamProbe
    level: str
    word: str
    text: str

    @property
    def is_waiting(self) -> bool:
        """Say whether a gateway may still answer."""
        return self.level == "clock"


@dataclass(frozen=True, slots=True)
class Line:
    """An upstream, how it stands and what leads there."""

    upstream: Upstream
    level: str
    word: str
    address: str
    routes: tuple[str, ...]
    failure: Failure | None
    test: Test | None

    @property
    def needs_credential(self) -> bool:
        """Say whether its kind works only with a credential."""
        return kinds.KINDS[self.upstream.kind].needs_credential


def visible(request: OrganizationRequest) -> QuerySet[Upstream]:
    """Return the upstreams this person may look at: none for somebody narrowed to a part."""
    rows = Upstream.objects.filter(archived_at=None)
    return rows.none() if access.is_narrowed(request) else rows


def upstream(request: OrganizationRequest, public_id: str) -> Upstream:
    """Return an upstream this person may look at; 404 for any other id."""
    return access.loaded(visible(request), public_id)


def lines(rows: QuerySet[Upstream], at: datetime) -> list[Line]:
    """Return upstreams as pages show them, active ones first, by name."""
    found = list(rows.prefetch_related("targets__route", "probes").order_by("-is_active", "name"))
    failures = _failures() if found else {}
    return [_line(each, failures.get(each.pk), at) for each in found]


def finding(found: list[Line]) -> str:
    """Say in a sentence how the upstreams stand; nothing when there is none."""
    if not found:
        return ""
    active = sum(line.upstream.is_active for line in found)
    text = gettext("%(active)d of %(all)d active") % {"active": active, "all": len(found)}
    if bad := [line.upstream.name for line in found if line.level == "bad"]:
        text = f"{text} · {gettext('look at: %(names)s') % {'names': ', '.join(bad)}}"
    return text


def tested(probe: UpstreamProbe, at: datetime) -> Test:
    """Say what became of a test."""
    if probe.answered_at is None:
        if at - probe.asked_at < PATIENCE:
            return Test(probe, "clock", gettext("waits"), gettext("A gateway is asking."))
        text = gettext("No gateway took it: is one running?")
        return Test(probe, "warn", gettext("no answer"), text)
    text = str(FOUND.get(probe.code, FOUND["upstream_error"]))
    if not probe.code:
        if probe.upstream.kind == UpstreamKind.DEMO:
            text = gettext("It answers offline, in the gateway itself.")
        return Test(probe, "good", gettext("good"), text)
    return Test(probe, "bad", gettext("failed"), text)


def _line(row: Upstream, failure: Failure | None, at: datetime) -> Line:
    level, word = _state(row, at)
    targets = row.targets.all()
    routes = tuple(sorted({target.route.name for target in targets}))
    probe = next(iter(row.probes.all()), None)
    test = tested(probe, at) if probe else None
    is_demo = row.kind == UpstreamKind.DEMO
    address = "" if is_demo else row.base_url or kinds.KINDS[row.kind].base_url
    return Line(row, level, word, address, routes, failure, test)


def _state(row: Upstream, at: datetime) -> tuple[str, str]:
    if not row.is_active:
        return "info", gettext("switched off")
    if kinds.KINDS[row.kind].needs_credential and row.credential_sealed is None:
        return "bad", gettext("no credential")
    if row.rested_at is not None and at - row.rested_at < REST:
        return "bad", gettext("keeps failing")
    return "good", gettext("active")


def _failures() -> Mapping[UUID, Failure]:
    """Return the newest failed try of each upstream within a day."""
    statement = (
        "SELECT DISTINCT ON (upstream_id) upstream_id, sent_at, status, error_code FROM ("
        " SELECT a.upstream_id, a.sent_at, a.status, a.error_code FROM attempt a"
        " WHERE a.organization_id = %s AND a.upstream_id IS NOT NULL"
        " AND a.usage_id >= uuid7_floor(now() - interval '1 day')"
        " ORDER BY a.usage_id DESC LIMIT %s) newest ORDER BY upstream_id, sent_at DESC"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [required(), FAILURES])
        return {row[0]: Failure(*row[1:]) for row in cursor.fetchall()}
