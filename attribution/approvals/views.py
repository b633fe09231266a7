"""The pages of approvals: what waits, what was decided, and one request to decide about."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.approvals import decisions, docket
from attribution.approvals.decisions import DecisionError
from attribution.approvals.docket import MANY, Entry
from attribution.approvals.forms import DecisionForm
from attribution.approvals.models import Decision
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page

VERBS = {
    Decision.APPROVED: decisions.approve,
    Decision.REJECTED: decisions.reject,
    Decision.WITHDRAWN: decisions.withdraw,
}
DONE = {
    Decision.APPROVED: _("Approved: it is done as it was asked for."),
    Decision.REJECTED: _("Rejected: nothing was changed."),
    Decision.WITHDRAWN: _("Withdrawn: nothing was changed."),
}
REFUSALS = {
    decisions.AlreadyDecidedError.code: _("Somebody has decided meanwhile."),
    decisions.OwnRequestError.code: _("Nobody decides about what they asked for."),
    decisions.AlteredRequestError.code: _("The request no longer says what was asked for."),
    decisions.OutdatedRequestError.code: _(
        "What was asked for can no longer be done: it has ended meanwhile. Nothing was changed."
    ),
}


@organization_page("attribution:approval-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """List what waits and what was decided last."""
    rows = docket.visible(request)
    waiting = [docket.entry(request, row) for row in rows.filter(decision="")[:MANY]]
    decided = rows.exclude(decision="").order_by("-decided_at")[:MANY]
    context = {
        "waiting": sorted(waiting, key=_is_not_mine),
        "decided": [docket.entry(request, row) for row in decided],
        "mine": sum(entry.may_decide for entry in waiting),
    }
    return render(request, "attribution/approvals/list.html", context)


@organization_page("attribution:approval-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one request; a POST decides."""
    row = access.loaded(docket.visible(request), object_id)
    entry = docket.entry(request, row)
    form = DecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _decide(request, entry, form):
        return redirect("attribution:approval-list")
    return render(request, "attribution/approvals/show.html", {"entry": entry, "form": form})


def _decide(request: OrganizationRequest, entry: Entry, form: DecisionForm) -> bool:
    decision = Decision(form.cleaned_data["decision"])
    is_allowed = entry.is_own if decision is Decision.WITHDRAWN else entry.may_decide
    if not is_allowed and not entry.row.decision:
        raise PermissionDenied
    facts: dict[str, Any] = {"by": access.actor(request), "at": timezone.now()}
    try:
        VERBS[decision](entry.row, **facts, note=form.cleaned_data["note"])
    except DecisionError as error:
        form.add_error(None, str(REFUSALS.get(error.code, gettext("This cannot be decided."))))
        return False
    messages.success(request, str(DONE[decision]))
    return True


def _is_not_mine(entry: Entry) -> bool:
    return not entry.may_decide
