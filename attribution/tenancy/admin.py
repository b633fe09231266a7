"""The admin within one organization: its site, and the base of every admin class."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import update_wrapper
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.audit import trail
from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import required
from attribution.tenancy import access, policy, roles
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.forms import ScopedForm
from attribution.tenancy.models import CostCenter, Department, User

PER_PAGE = 50


class TenantSite(admin.AdminSite):
    """An admin site that serves one organization per request, to the roles of the table."""

    site_title = "Tollkeeper"
    site_header = "Tollkeeper"
    index_title = _("Workbench")
    index_template = "attribution/tenancy/admin_index.html"
    final_catch_all_view = False
    enable_nav_sidebar = True

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Run the whole request, its rendering included, in the tenant transaction."""
        inner = super().admin_view(view, cacheable)

        def served(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            name = access.url_name(request)
            return access.serve(request, name, lambda r: inner(r, *args, **kwargs))

        return update_wrapper(served, view)

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in whom the permission table let in: `serve` looked before."""
        return hasattr(request, "membership")

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Send people to the one page for signing in."""
        return redirect_to_login(request.GET.get("next", "/admin/"))

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Leave out what takes bare primary keys of any table, and what nothing here uses."""
        dropped = {"view_on_site", "autocomplete"}
        return [u for u in super().get_urls() if getattr(u, "name", "") not in dropped]


site = TenantSite(name="admin")


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """An audit entry under the names that Django's history page reads."""

    action_time: datetime
    user: User | None
    get_change_message: str


class ScopedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows of the organization being served, by the permission table, with an audit entry each.

    `is_policy` raises the policy fence before a row changes. `narrowed_by` is the
    look-up to a department; without one, people narrowed to a department do not see these rows.
    """

    form = ScopedForm
    is_policy = False
    narrowed_by = ""
    list_per_page = PER_PAGE
    show_full_result_count = False
    actions: Any = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows this person may look at."""
        served = cast("OrganizationRequest", request)
        rows: QuerySet[Any] = super().get_queryset(request)
        return self.narrow(served, rows) if access.is_narrowed(served) else rows

    def narrow(self, request: OrganizationRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the departments that the person is narrowed to."""
        top = request.membership.department_id
        if not self.narrowed_by or top is None:
            return rows.none()
        return rows.filter(**{f"{self.narrowed_by}__in": access.subtree(top)})

    def get_field_queryset(
        self, db: str | None, db_field: Any, request: HttpRequest | None
    ) -> QuerySet[Any] | None:
        """Offer rows of the organization only, and of the person's departments."""
        return offered(cast("OrganizationRequest", request), db_field.remote_field.model)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show a package on the index when the person may see any of its rows."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask the permission table."""
        return self._may(request, "changelist", "GET")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask the permission table."""
        return self._may(request, "change", "POST")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Ask the permission table."""
        return self._may(request, "add", "POST")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask the permission table."""
        return self._may(request, "delete", "POST")

    def get_urls(self) -> list[URLPattern]:
        """Leave out the nameless redirect of old Django versions: it has no row in the table."""
        return [url for url in super().get_urls() if url.name]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Write the row and what changed, behind the policy fence where calls depend on it."""
        if self.is_policy:
            policy.changed(required())
        before = trail.snapshot(type(obj)._base_manager.get(pk=obj.pk)) if change else None
        obj.save()
        record(request, obj, before)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Write inline rows and what changed in them."""
        kept = {row.pk: trail.snapshot(row) for row in formset.get_queryset()} if change else {}
        formset.save()
        for row in formset.deleted_objects:
            noted = kept.get(row.pk)
            trail.append(
                f"{row._meta.model_name}.deleted",
                by=access.actor(request),
                on=form.instance,
                before=noted,
            )
        for row in formset.new_objects + [changed for changed, _names in formset.changed_objects]:
            record(request, row, kept.get(row.pk), on=form.instance)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Do nothing: `save_model` wrote the audit entry."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Do nothing: `save_model` wrote the audit entry."""

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> Any:
        """Write the audit entries of rows that are about to go."""
        for row in queryset:
            trail.append(
                f"{row._meta.model_name}.deleted",
                by=access.actor(request),
                on=row,
                before=trail.snapshot(row),
            )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Show the audit entries about one row."""
        obj = self.get_object(request, object_id)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        if obj is None:
            raise Http404
        paginator = self.get_paginator(request, trail.history(obj), PER_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR, 1))
        page.object_list = history_lines(page.object_list)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Change history: %s") % obj,
            "action_list": page,
            "page_range": paginator.get_elided_page_range(page.number),
            "page_var": PAGE_VAR,
            "pagination_required": paginator.num_pages > 1,
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "object": obj,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/object_history.html", context)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Answer the same 404 for foreign and missing ids."""
        raise Http404

    def _may(self, request: HttpRequest, verb: str, method: str) -> bool:
        served = cast("OrganizationRequest", request)
        if access.is_narrowed(served) and not self.narrowed_by:
            return False
        return may(served, self.model, verb, method)


class ReadOnlyAdmin(ScopedAdmin):
    """Rows that only functions of the database write: to look at, search and filter."""

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer no bulk action."""
        return {}


class ScopedInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    """Rows that belong to another row and are edited with it; who may, says the page."""

    form = ScopedForm
    extra = 0
    show_change_link = False

    def get_field_queryset(
        self, db: str | None, db_field: Any, request: HttpRequest | None
    ) -> QuerySet[Any] | None:
        """Offer rows of the organization only, and of the person's departments."""
        return offered(cast("OrganizationRequest", request), db_field.remote_field.model)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Follow the page."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Follow the permission table for the page's rows."""
        served = cast("OrganizationRequest", request)
        return may(served, self.parent_model, "change", "POST")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission table for the page's rows."""
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Follow the permission table for the page's rows."""
        return self.has_change_permission(request)


def may(request: OrganizationRequest, model: type[Model], verb: str, method: str) -> bool:
    """Say whether the permission table lets this person do something with rows of a kind."""
    rows = model._meta.label_lower.replace(".", "_")
    rule = roles.rule(f"admin:{rows}_{verb}")
    return rule is not None and rule.allows(method, access.role_of(request))


def offered(request: OrganizationRequest, model: type[Model]) -> QuerySet[Any]:
    """Return the rows that a relation may be set to."""
    if model is User:
        return User.objects.filter(memberships__organization_id=required()).order_by("email")
    if model is Department:
        return access.departments(request).order_by("name")
    if model is CostCenter:
        return access.cost_centers(request).order_by("code")
    return model._default_manager.all()


def record(
    request: HttpRequest, row: Model, before: trail.Snapshot | None, *, on: Model | None = None
) -> None:
    """Write the audit entry of a row that was created or changed; none when nothing differs."""
    after = trail.snapshot(row)
    if before == after:
        return
    verb = "changed" if before else "created"
    action = f"{row._meta.model_name}.{verb}"
    trail.append(action, by=access.actor(request), on=on or row, before=before, after=after)


def history_lines(entries: Iterable[AuditEntry]) -> list[HistoryLine]:
    """Return audit entries as lines for people."""
    found = list(entries)
    people = User.objects.in_bulk([entry.actor_id for entry in found if entry.actor_id])
    return [HistoryLine(entry.at, people.get(entry.actor_id), told(entry)) for entry in found]


def told(entry: AuditEntry) -> str:
    """Return what an entry says, in one line."""
    parts = [
        f"{name}: {_worded(old)} → {_worded(new)}"
        for name, (old, new) in sorted(entry.changes.items())
    ]
    return " · ".join([entry.action, *parts])


def _worded(value: str | None) -> str:
    return gettext("nothing") if value is None else value
