"""The only way from a request or an id to rows of an organization."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar, cast
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.response import SimpleTemplateResponse
from django.utils import timezone
from django.utils.translation import gettext

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy import roles
from attribution.tenancy.models import CostCenter, Department, Membership, Organization, User
from attribution.tenancy.program import Program

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
SESSION_KEY = "organization_id"


@dataclass(frozen=True, slots=True)
class Name:
    """An organization, as far as people may know it before they enter it."""

    id: UUID
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Belonging:
    """An organization that a person may enter, and their role there."""

    organization: Name
    role: str

    @property
    def organization_id(self) -> UUID:
        """Return the organization's id."""
        return self.organization.id


class OrganizationRequest(HttpRequest):
    """A request of a person who is served within one organization."""

    user: User
    organization_id: UUID | None
    organization: Organization
    membership: Membership
    memberships: list[Belonging]
    is_admin_open: bool


class OrganizationMiddleware:
    """Puts the organization of the session on the request; answers 404 for URLs without a row."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        place(request, [])
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponseBase | None:
        """Refuse unlisted URLs and strangers; find the organization of everybody else."""
        rule = roles.rule(url_name(request))
        if rule is None:
            raise Http404
        if rule.is_open(request.method or ""):
            return None
        if not isinstance(request.user, User):
            return refuse_stranger(request)
        place(request, belongings(request.user.pk))
        if not rule.allows(request.method or "", _role(request)):
            raise PermissionDenied
        return None


def place(request: HttpRequest, memberships: list[Belonging]) -> None:
    """Put the organizations a person may enter on the request, and the one they are in."""
    chosen = request.session.get(SESSION_KEY) if memberships else None
    current = next((m for m in memberships if str(m.organization_id) == chosen), None)
    current = current or next(iter(memberships), None)
    placed = cast("OrganizationRequest", request)
    placed.memberships = memberships
    placed.organization_id = current.organization_id if current else None
    placed.is_admin_open = bool(current and current.role in roles.READERS)


def belongings(user_id: UUID) -> list[Belonging]:
    """Return the organizations that a person may enter, by name."""
    with connection.cursor() as cursor:
        argument = json.dumps({"user_id": str(user_id)})
        cursor.execute("SELECT attribution_memberships(%s::jsonb)", [argument])
        (found,) = cursor.fetchone()
    rows = json.loads(found) if isinstance(found, str) else found
    return [
        Belonging(Name(UUID(row["organization_id"]), row["slug"], row["name"]), row["role"])
        for row in rows
    ]


def every_organization() -> list[UUID]:
    """Return the ids of all active organizations, for work that visits each in its own tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT attribution_organizations('{}')")
        return [row[0] for row in cursor.fetchall()]


def enter(request: HttpRequest, organization_id: UUID) -> None:
    """Serve this person in another of their organizations from now on; audited there."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    allowed = {belonging.organization_id for belonging in belongings(request.user.pk)}
    if organization_id not in allowed:
        raise Http404
    with tenant(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        trail.append("organization.entered", by=actor(request), on=organization)
    request.session[SESSION_KEY] = str(organization_id)


def organization_page(
    name: str,
) -> Callable[
    [Callable[Concatenate[OrganizationRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Serve a page within the organization of the session, to whom the permission table names."""

    def decorate(
        view: Callable[Concatenate[OrganizationRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @functools.wraps(view)
        def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            return serve(request, name, lambda served: view(served, *args, **kwargs))

        return cast("Callable[Concatenate[HttpRequest, P], HttpResponseBase]", page)

    return decorate


def serve(
    request: HttpRequest, name: str, view: Callable[[OrganizationRequest], HttpResponseBase]
) -> HttpResponseBase:
    """Run a view and render its answer in the tenant transaction of the request's organization."""
    organization_id: UUID | None = getattr(request, "organization_id", None)
    if not isinstance(request.user, User):
        return refuse_stranger(request)
    if organization_id is None:
        raise PermissionDenied
    with tenant(organization_id):
        served = _admitted(request, name, organization_id)
        with timezone.override(served.organization.time_zone):
            response = view(served)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                response.render()
        return response


def role_of(request: OrganizationRequest) -> str:
    """Return the role that counts: staff of the platform act as owners where they are members."""
    return roles.OWNER if request.user.is_superuser else request.membership.role


def may(request: HttpRequest, method: str, name: str) -> bool:
    """Say whether this person may use a method at a URL name: what they may not is not shown."""
    rule = roles.rule(name)
    return rule is not None and rule.allows(method, _role(request))


def refuse_stranger(request: HttpRequest) -> HttpResponseBase:
    """Send a person to sign in; tell a program that it is unknown."""
    is_program = request.headers.get("HX-Request") or (
        request.get_preferred_type(["text/html", "application/json"]) == "application/json"
    )
    if is_program:
        error = {"code": "not_signed_in", "message": gettext("Sign in first.")}
        return JsonResponse({"error": error}, status=401)
    return redirect_to_login(request.get_full_path())


def actor(request: HttpRequest) -> Actor:
    """Return who acts, for the audit trail."""
    return Actor(
        "user",
        request.user.pk,
        request.META.get("REMOTE_ADDR") or None,
        request.headers.get("X-Request-ID", "")[:64],
    )


def url_name(request: HttpRequest) -> str:
    """Return the name under which the permission table knows the request's URL."""
    return request.resolver_match.view_name if request.resolver_match else ""


def departments(request: OrganizationRequest) -> QuerySet[Department]:
    """Return the departments this person may look at: all, or the subtree they are narrowed to."""
    top = request.membership.department_id
    if top is None:
        return Department.objects.all()
    return Department.objects.filter(pk__in=subtree(top))


def cost_centers(request: OrganizationRequest) -> QuerySet[CostCenter]:
    """Return the cost centers this person may look at."""
    if request.membership.department_id is None:
        return CostCenter.objects.all()
    return CostCenter.objects.filter(department_id__in=subtree(request.membership.department_id))


def cost_centers_of(program: Program) -> QuerySet[CostCenter]:
    """Return the cost centers a program may book to, and therefore look at."""
    rows = CostCenter.objects.all()
    if program.is_cost_center_pinned:
        home = Organization.objects.values_list("default_cost_center_id", flat=True)
        only = program.cost_center_id or home.get(pk=program.organization_id)
        return rows.filter(pk=only) if only else rows.none()
    if program.allowed_cost_centers:
        return rows.filter(code__in=program.allowed_cost_centers)
    return rows


def is_narrowed(request: OrganizationRequest) -> bool:
    """Say whether this person sees only a part of the organization."""
    return request.membership.department_id is not None


def subtree(top: UUID) -> set[UUID]:
    """Return a department and everything below it."""
    parents = dict(Department.objects.values_list("id", "parent_id"))
    inside = {top}
    while grown := {child for child, parent in parents.items() if parent in inside} - inside:
        inside |= grown
    return inside


def cost_center(request: OrganizationRequest, public_id: str) -> CostCenter:
    """Return a cost center this person may look at; 404 for any other id."""
    return loaded(cost_centers(request), public_id)


def department(request: OrganizationRequest, public_id: str) -> Department:
    """Return a department this person may look at; 404 for any other id."""
    return loaded(departments(request), public_id)


def loaded(rows: QuerySet[M], public_id: str) -> M:
    """Return one of the rows; a foreign, missing or malformed id is the same 404."""
    try:
        found = rows.filter(pk=UUID(public_id)).first()
    except ValueError as error:
        raise Http404 from error
    if found is None:
        raise Http404
    return found


def _role(request: HttpRequest) -> str:
    """Return the role in the organization of the session, before it is entered."""
    served = cast("OrganizationRequest", request)
    found = [m.role for m in served.memberships if m.organization_id == served.organization_id]
    if not found:
        return ""
    return roles.OWNER if served.user.is_superuser else found[0]


def _admitted(request: HttpRequest, name: str, organization_id: UUID) -> OrganizationRequest:
    """Put organization and membership on the request, or refuse it."""
    membership = (
        Membership.objects.select_related("organization", "department")
        .filter(user=cast("User", request.user), is_active=True)
        .first()
    )
    rule = roles.rule(name)
    if rule is None:
        raise Http404
    if membership is None:
        raise PermissionDenied
    served = cast("OrganizationRequest", request)
    served.organization_id = organization_id
    served.organization, served.membership = membership.organization, membership
    if not rule.allows(request.method or "", role_of(served)):
        raise PermissionDenied
    return served
