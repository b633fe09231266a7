"""API keys in the admin: issued, rotated, revoked; the secret is shown once."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy import access, shown_once
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import ScopedAdmin, site
from budgets.limits.coverage import SOURCES
from budgets.limits.models import Scope
from gateway.keys import keyring
from gateway.keys.forms import KeyForm
from gateway.keys.models import ApiKey, RateLimit

OVERLAP = timedelta(days=7)
CHANGELIST = "admin:gateway_apikey_changelist"


def coverable(request: OrganizationRequest) -> list[tuple[Any, str]]:
    """Return the keys that a budget may cover, under the id that outlives their secrets."""
    keys = ApiKey.objects.filter(revoked_at=None).order_by("name")
    if access.is_narrowed(request):
        keys = keys.filter(cost_center__in=access.cost_centers(request))
    return list({key.lineage: key.name for key in keys}.items())


SOURCES[Scope.API_KEY] = coverable


class StateFilter(admin.SimpleListFilter):
    """Keys that work, or those that do not any more."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer both."""
        return [("works", _("works")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Return the keys asked for."""
        if self.value() is None:
            return queryset
        return queryset.filter(revoked_at__isnull=self.value() == "works")


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ScopedAdmin):
    """What programs present to the gateway; its secret is nowhere to be read."""

    form = KeyForm
    is_policy = True
    narrowed_by = "cost_center__department_id"
    list_display = ["name", "kid", "cost_center", "last_used_at", "expires_at", "revoked_at"]
    list_filter = [StateFilter, ("cost_center", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["cost_center"]
    search_fields = ["name", "kid"]
    ordering = ["name"]
    actions = ["rotate", "revoke"]
    fieldsets = [
        (None, {"fields": ["name", "notes", "expires_at"]}),
        (
            _("Who pays"),
            {
                "fields": [
                    ("cost_center", "is_cost_center_pinned"),
                    "allowed_cost_centers",
                    ("user_name", "is_user_pinned"),
                ]
            },
        ),
        (
            _("What it may do"),
            {"fields": ["scopes", "allowed_models", "max_output_tokens"]},
        ),
        (
            _("How much at a time"),
            {"fields": ["requests_per_minute", "tokens_per_minute", "concurrent_streams"]},
        ),
        (_("What it is told"), {"fields": ["enrich", "is_amount_hidden"]}),
    ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep a revoked key as it is."""
        is_revoked = obj is not None and obj.revoked_at is not None
        return not is_revoked and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Issue a new key, or change what an old one may do."""
        if change:
            super().save_model(request, obj, form, change)
            return
        columns = {name: getattr(obj, name) for name in form.cleaned_data if name != "name"}
        made, secret = keyring.issue(obj.name, by=access.actor(request), fields=columns)
        obj.pk = made.pk
        shown_once.keep(request, obj.name, secret)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Show the secret, once."""
        return self._shown(request) or super().response_add(request, obj, post_url_continue)

    @admin.action(description=_("Replace: the old key ends in 7 days"), permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """Issue the successor of one key and show it, once."""
        chosen = list(queryset.filter(revoked_at=None)[:2])
        if len(chosen) != 1:
            messages.error(request, gettext("Choose one key that works."))
            return None
        until = timezone.now() + OVERLAP
        by = access.actor(request)
        made, secret = keyring.rotate(chosen[0], by=by, overlap_until=until)
        shown_once.keep(request, made.name, secret)
        return self._shown(request)

    @admin.action(description=_("Revoke: refuse it from its next call on"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke the chosen keys."""
        chosen = list(queryset.filter(revoked_at=None))
        for key in chosen:
            keyring.revoke(key, by=access.actor(request), at=timezone.now())
        done = len(chosen)
        messages.success(request, ngettext("%d key revoked.", "%d keys revoked.", done) % done)

    def _shown(self, request: HttpRequest) -> HttpResponse | None:
        return shown_once.answer(
            request,
            self.admin_site,
            title=gettext("Your new API key"),
            text=gettext("Copy it now: it is shown this once and kept nowhere."),
            back=reverse(CHANGELIST),
        )


@admin.register(RateLimit, site=site)
class RateLimitAdmin(ScopedAdmin):
    """How much at a time a cost center, or the whole organization, may ask for."""

    is_policy = True
    narrowed_by = "cost_center__department_id"
    list_display = ["__str__", "requests_per_minute", "tokens_per_minute", "concurrent_streams"]
    list_select_related = ["cost_center"]
    fields = ["cost_center", "requests_per_minute", "tokens_per_minute", "concurrent_streams"]
