"""Waiting prices in the admin: what each list says, side by side, to accept or to reject."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import money
from attribution.prices import acceptance, overrides, proposals
from attribution.prices.forms import NAMES, told
from attribution.prices.models import Price, PriceProposal, Verdict
from attribution.prices.proposals import Row
from attribution.templatetags.tollkeeper import share_text
from attribution.tenancy import access
from attribution.tenancy.admin import ScopedAdmin, site

REFUSALS = {
    acceptance.NotWaitingError.code: _("This price does not wait any more: the list has changed."),
    overrides.PriceExistsError.code: _(
        "A price of our own for this model begins later: end it first."
    ),
}
SIGNS = {True: "+", False: "\N{MINUS SIGN}"}


class DecisionFilter(admin.SimpleListFilter):
    """What waits for us, unless what we decided is asked for."""

    title = _("decision")
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer what was decided."""
        return [("yes", _("decided by us"))]

    def choices(self, changelist: Any) -> Any:
        """Call the default by its name."""
        first, *others = super().choices(changelist)
        return [{**first, "display": _("waits for us")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        """Return the proposals asked for."""
        asked = proposals.proposals(is_decided=self.value() == "yes")
        return queryset.filter(pk__in=asked.values("pk"))


class DecisionForm(forms.Form):
    """What to do about a proposal, and why."""

    verdict = forms.ChoiceField(choices=Verdict.choices, widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("For the audit log, for example: checked on the provider's page today."),
    )
    is_confirmed = forms.BooleanField(label=_("The unit is right"), required=False)


@admin.register(PriceProposal, site=site)
class PriceProposalAdmin(ScopedAdmin):
    """Prices of the shared list that two lists dispute, or that leapt, until we decide."""

    list_display = ["model", "provider", "disputed", "effective_from"]
    list_filter = [DecisionFilter, "status", ("provider", admin.AllValuesFieldListFilter)]
    search_fields = ["model", "provider"]
    ordering = ["provider", "model", "effective_from"]
    change_template = "admin/attribution/priceproposal/decide.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the waiting prices of the shared list."""
        known = [proposals.proposals(is_decided=flag).values("pk") for flag in (False, True)]
        found = PriceProposal.objects.filter(Q(pk__in=known[0]) | Q(pk__in=known[1]))
        return found.order_by(*self.ordering)

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer no bulk action: each price is looked at."""
        return {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: the published list proposes."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Call the list by its name."""
        title = gettext("Prices to decide about")
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Compare the lists; a verdict in the address asks for its reason, a POST decides."""
        proposal = self.get_object(request, unquote(object_id))
        if proposal is None:
            raise Http404
        is_decision = request.method == "POST"
        if is_decision and not self.has_change_permission(request, proposal):
            raise PermissionDenied
        form = DecisionForm(request.POST) if is_decision else self._asked(request)
        if is_decision and form.is_valid() and self._decide(request, proposal, form):
            return HttpResponseRedirect(reverse("admin:attribution_priceproposal_changelist"))
        return TemplateResponse(request, self.change_template, self._shown(request, proposal, form))

    @admin.display(description=_("both lists (USD per million)"))
    def disputed(self, proposal: Price) -> Any:
        """Show both values of every disputed rate, and by how much they differ."""
        found = [row for row in proposals.rows(proposal, at=timezone.now()) if row.is_disputed]
        lines = [
            (NAMES[row.name], _text(row.listed), _text(row.second), signed(row.difference))
            for row in found
        ]
        joined = format_html_join("", "<div>{}: {} → {} ({})</div>", lines)
        return joined or _("only one list states it; it leapt")

    def _asked(self, request: HttpRequest) -> DecisionForm:
        verdict = request.GET.get("verdict", "")
        return DecisionForm(initial={"verdict": verdict if verdict in Verdict.values else ""})

    def _decide(self, request: HttpRequest, proposal: Price, form: DecisionForm) -> bool:
        values = form.cleaned_data
        facts = {"by": access.actor(request), "at": timezone.now(), "reason": values["reason"]}
        try:
            if values["verdict"] == Verdict.REJECTED:
                proposals.reject(proposal, **facts)
            else:
                proposals.accept(proposal, **facts, is_confirmed=values["is_confirmed"])
        except acceptance.ConfirmationNeededError as error:
            form.add_error("is_confirmed", told(error.doubts))
            return False
        except (acceptance.NotWaitingError, overrides.PriceExistsError) as error:
            form.add_error(None, str(REFUSALS[error.code]))
            return False
        done = {
            Verdict.ACCEPTED: gettext("%(price)s: accepted."),
            Verdict.REJECTED: gettext("%(price)s: rejected."),
        }
        messages.success(request, done[Verdict(values["verdict"])] % {"price": proposal})
        return True

    def _shown(self, request: HttpRequest, proposal: Price, form: DecisionForm) -> dict[str, Any]:
        now = timezone.now()
        found = proposals.rows(proposal, at=now)
        return {
            **self.admin_site.each_context(request),
            "title": str(proposal),
            "opts": self.opts,
            "original": proposal,
            "rows": [
                (NAMES[row.name], row, signed(row.difference), signed(row.change)) for row in found
            ],
            "has_second": any(row.second is not None for row in found),
            "paid": proposals.in_force(proposal, at=now),
            "begins": proposals.begins(proposal, at=now),
            "decision": proposals.decision(proposal),
            "form": form,
            "verdict": form["verdict"].value(),
            "needs_unit": bool(proposals.doubts(proposal, at=now)),
            "is_in_force": proposals.is_in_force(proposal),
            "may_decide": self.has_change_permission(request, proposal),
            "second_url": _second_url(proposal, found),
        }


def signed(share: Any) -> str:
    """Write a share with its sign; nothing where there is nothing to compare."""
    if share is None:
        return ""
    return f"{SIGNS[share >= 0]}{share_text(abs(share))}" if share else share_text(share)


def _text(rate: Any) -> str:
    return "-" if rate is None else money.text(rate)


def _second_url(proposal: Price, found: list[Row]) -> str:
    """Return the form of an own price, filled in with what the second list says."""
    known = {row.name: money.text(row.second) for row in found if row.second is not None}
    offered = {name: rate for name, rate in known.items() if name in overrides.OFFERED}
    if not offered:
        return ""
    names = {"provider": proposal.provider, "model": proposal.model}
    return f"{reverse('admin:attribution_price_add')}?{urlencode(names | offered)}"
