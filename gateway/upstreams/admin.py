"""Upstreams in the admin: addresses, discounts and sealed credentials."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from attribution import money
from attribution.tenancy.admin import ScopedAdmin, site
from gateway.upstreams.forms import UpstreamForm
from gateway.upstreams.models import Upstream


@admin.register(Upstream, site=site)
class UpstreamAdmin(ScopedAdmin):
    """Our accounts at providers."""

    form = UpstreamForm
    is_policy = True
    list_display = ["name", "kind", "base_url", "terms", "credential_state", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["name", "base_url"]
    ordering = ["name"]
    readonly_fields = ["credential_state"]
    fieldsets = [
        (None, {"fields": ["name", "kind", "base_url", "credential", "credential_state"]}),
        (
            _("How it bills"),
            {
                "fields": [
                    "provider",
                    "discount_percent",
                    "markup_percent",
                    "is_cost_reported",
                    "is_error_unbilled",
                ]
            },
        ),
        (
            _("How long to wait"),
            {
                "fields": ["connect_timeout_s", "idle_timeout_s", "total_timeout_s"],
                "classes": ["collapse"],
            },
        ),
        (None, {"fields": ["is_active"]}),
    ]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Seal the credential, then save."""
        form.seal()
        super().save_model(request, obj, form, change)

    @admin.display(description=_("times list price"), ordering="discount_percent")
    def terms(self, upstream: Upstream) -> str:
        """Show what discount and markup make of a list price of 1."""
        return money.text(upstream.price_multiplier)

    @admin.display(description=_("credential"))
    def credential_state(self, upstream: Upstream) -> Any:
        """Show its last characters and its age, never the credential."""
        if upstream.credential_sealed is None or upstream.credential_set_at is None:
            return _("none")
        hint = f"…{upstream.credential_hint}" if upstream.credential_hint else _("set")
        return f"{hint} ({upstream.credential_set_at:%Y-%m-%d})"
