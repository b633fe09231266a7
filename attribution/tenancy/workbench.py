"""The organization's own rows in the admin: its settings, departments, cost centers and people."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution.audit.models import AuditEntry
from attribution.tenancy import access, departments, people, shown_once
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import ReadOnlyAdmin, ScopedAdmin, site
from attribution.tenancy.forms import (
    DepartmentForm,
    InvitationForm,
    MembershipForm,
    OrganizationForm,
)
from attribution.tenancy.models import CostCenter, Department, Membership, Organization


@admin.register(Organization, site=site)
class OrganizationAdmin(ScopedAdmin):
    """The settings of the organization being served, one row."""

    form = OrganizationForm
    is_policy = True
    list_display = ["name", "slug", "time_zone", "reporting_currency", "retention_days"]
    list_display_links = ["name"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "locale", "time_zone"]}),
        (
            _("Money"),
            {"fields": ["reporting_currency", "fiscal_start_month", "raise_needs_approval_above"]},
        ),
        (
            _("Calls"),
            {
                "fields": [
                    "unknown_cost_center",
                    "default_cost_center_id",
                    "retention_days",
                    "fail_open_when_db_down",
                ]
            },
        ),
        (
            _("Anomalies"),
            {
                "description": _(
                    "A day, or an hour, of a cost center's spend on a model is an anomaly when it "
                    "differs from the expected by more than the largest of the first three. The "
                    "live stream marks single calls by the last."
                ),
                "fields": [
                    "anomaly_deviation",
                    "anomaly_share",
                    "anomaly_least_usd",
                    "anomaly_alert_usd",
                    "anomaly_call_usd",
                ],
            },
        ),
    ]
    readonly_fields = ["slug", "reporting_currency"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the one organization being served."""
        served = cast("OrganizationRequest", request)
        return Organization.objects.filter(pk=served.organization.pk)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the cost centers by name where the column holds an id."""
        if db_field.name == "default_cost_center_id":
            return _cost_center_choice(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(Department, site=site)
class DepartmentAdmin(ScopedAdmin):
    """The tree of the company; budgets of a department cover everything below it."""

    form = DepartmentForm
    is_policy = True
    narrowed_by = "id"
    list_display = ["name", "parent", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["parent"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "parent", "is_active"]


@admin.register(CostCenter, site=site)
class CostCenterAdmin(ScopedAdmin):
    """Where spend is booked; a cost center is retired, never deleted, so its history stays."""

    is_policy = True
    narrowed_by = "department_id"
    list_display = ["code", "name", "department", "gl_account", "owner", "is_active"]
    list_filter = ["is_active", ("department", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["department", "owner"]
    search_fields = ["code", "name", "gl_account"]
    ordering = ["code"]
    fields = ["code", "name", "department", "gl_account", "owner"]
    actions = ["retire", "reopen"]

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Explain the fields with examples."""
        kwargs["help_texts"] = {
            "code": _("What programs send in X-Cost-Center, for example MARKETING."),
            "gl_account": _("The account of the general ledger, for example 6420."),
            "owner": _("Who answers for what is spent here."),
        }
        return super().get_form(request, obj, change, **kwargs)

    @admin.action(description=_("Retire: book no new calls here"), permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[CostCenter]) -> None:
        """Retire the chosen cost centers; say which one is still the default."""
        done = 0
        for cost_center in queryset.filter(is_active=True):
            try:
                departments.retire(cost_center, by=access.actor(request))
            except departments.StillUsedError:
                text = gettext("%(code)s is the organization's default: choose another one first.")
                messages.error(request, text % {"code": cost_center.code})
            else:
                done += 1
        _say(request, ngettext("%d cost center retired.", "%d cost centers retired.", done), done)

    @admin.action(description=_("Reopen: book calls here again"), permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[CostCenter]) -> None:
        """Reopen the chosen cost centers."""
        retired = list(queryset.filter(is_active=False))
        for cost_center in retired:
            departments.reopen(cost_center, by=access.actor(request))
        done = len(retired)
        _say(request, ngettext("%d cost center reopened.", "%d cost centers reopened.", done), done)


@admin.register(Membership, site=site)
class MembershipAdmin(ScopedAdmin):
    """Who may do what here; a membership is deactivated, never deleted."""

    list_display = ["user", "email", "role", "department", "is_active"]
    list_filter = ["role", "is_active"]
    list_select_related = ["user", "department"]
    search_fields = ["user__email", "user__name"]
    ordering = ["user__email"]

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Ask for an address when somebody is invited; a person cannot be swapped later."""
        kwargs["form"] = MembershipForm if obj else InvitationForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        """Return what is asked for."""
        if obj:
            return ["user", "role", "department", "is_active"]
        return ["email", "name", "role", "department"]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        """Keep the person."""
        return ["user"] if obj else []

    @admin.display(description=_("e-mail"), ordering="user__email")
    def email(self, membership: Membership) -> str:
        """Show how the person signs in."""
        return membership.user.email

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Invite somebody, or change a membership."""
        if change:
            super().save_model(request, obj, form, change)
            return
        values = form.cleaned_data
        made, password = people.invite(
            values["email"],
            values["role"],
            by=access.actor(request),
            name=values["name"],
            department=values["department"],
        )
        obj.pk, obj.user = made.pk, made.user
        if password:
            shown_once.keep(request, made.user.email, password)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Show the password of somebody new, once."""
        shown = shown_once.answer(
            request,
            self.admin_site,
            title=gettext("The password of somebody new"),
            text=gettext("Hand it over personally: it is shown this once and kept nowhere."),
            back=reverse("admin:attribution_membership_changelist"),
        )
        return shown or super().response_add(request, obj, post_url_continue)


@admin.register(AuditEntry, site=site)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, when; entries are only ever added."""

    list_display = ["at", "action", "object_type", "object_id", "actor_type", "actor_id", "ip"]
    list_filter = ["actor_type", "object_type"]
    search_fields = ["action", "object_id"]
    ordering = ["-at"]
    fields = ["at", "action", "object_type", "object_id", "actor_type", "actor_id", "ip"]
    fields += ["changes", "before_hash", "after_hash", "request_id"]


def _cost_center_choice(db_field: Any) -> Any:
    centers = CostCenter.objects.filter(is_active=True).order_by("code")
    return forms.TypedChoiceField(
        label=db_field.verbose_name,
        required=False,
        empty_value=None,
        choices=[("", "---------"), *((str(c.pk), str(c)) for c in centers)],
        help_text=_("Where calls are booked that name none, and whose key names none."),
    )


def _say(request: HttpRequest, text: str, count: int) -> None:
    if count:
        messages.success(request, text % count)
