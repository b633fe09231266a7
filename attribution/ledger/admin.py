"""Ledger entries in the admin, to look at: by day, kind and account, with their totals."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from attribution.ledger.models import LedgerEntry
from attribution.templatetags.tollkeeper import money
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import site
from attribution.usage.admin import CostCenterFilter, DaysFilter, FactAdmin, TotalsList


class EntryList(TotalsList):
    """A page of entries with their sum."""

    amount = "usd_amount"


@admin.register(LedgerEntry, site=site)
class LedgerEntryAdmin(FactAdmin):
    """Postings, which are only ever added."""

    narrowed_by = "cost_center_id"
    list_display = ["posted_at", "kind", "account", "token_class", "quantity", "amount"]
    list_display += ["booked_month", "usage_id"]
    list_filter = [DaysFilter, CostCenterFilter, "kind", "account", "token_class"]
    search_fields = ["id"]
    search_help_text = _("The id of an entry.")
    ordering = ["-id"]

    def narrow(self, request: OrganizationRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the entries of cost centers this person may look at."""
        return rows.filter(cost_center_id__in=access.cost_centers(request).values("pk"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show every column that people can read."""
        hidden = {"organization", "xid"}
        return [f.name for f in LedgerEntry._meta.concrete_fields if f.name not in hidden]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Use the list with totals."""
        return EntryList

    @admin.display(description=_("USD"), ordering="usd_amount")
    def amount(self, entry: LedgerEntry) -> Any:
        """Show the amount."""
        return money(entry.usd_amount)
