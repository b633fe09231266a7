"""The pages of messages: a person's notes and choices, and acknowledging."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from attribution.insights import verdicts
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.channels.models import Topic
from budgets.notifications import acknowledging, inbox, subscriptions
from budgets.notifications.forms import SubscriptionForm

FORM = ["GET", "HEAD", "POST"]


@require_safe
@organization_page("budgets:notification-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show a person's notes."""
    page = inbox.page(request, before=request.GET.get("before", ""), now=timezone.now())
    return render(request, "budgets/notifications/list.html", {"page": page})


@never_cache
@require_safe
@organization_page("budgets:notification-count")
def count(request: OrganizationRequest) -> HttpResponse:
    """Tell how many notes wait, for the bell."""
    return JsonResponse({"unread": inbox.unread(request)})


@require_POST
@organization_page("budgets:notification-open")
def open_note(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Mark a note as read and go where it leads."""
    note = inbox.note(request, object_id)
    inbox.read(inbox.mine(request).filter(pk=note.pk), at=timezone.now())
    return redirect(note.payload["path"])


@require_POST
@organization_page("budgets:notification-clear")
def clear(request: OrganizationRequest) -> HttpResponse:
    """Mark every note as read."""
    inbox.read(inbox.mine(request), at=timezone.now())
    return redirect("budgets:notification-list")


@require_http_methods(FORM)
@organization_page("budgets:subscription-change")
def choose(request: OrganizationRequest) -> HttpResponse:
    """Let a person choose what they are told."""
    chosen = subscriptions.of(request.user)
    form = SubscriptionForm(request.POST if request.method == "POST" else None, instance=chosen)
    if request.method != "POST" or not form.is_valid():
        return render(request, "budgets/notifications/choose.html", {"form": form})
    subscriptions.choose(form.instance, by=access.actor(request), at=timezone.now())
    messages.success(request, gettext("Saved: it holds from the next message on."))
    return redirect("budgets:subscription-change")


@require_http_methods(FORM)
@organization_page("budgets:notification-acknowledge")
def acknowledge(request: OrganizationRequest, token: str) -> HttpResponse:
    """Show what a mail's link names (GET), and acknowledge it for everybody (POST)."""
    subject = acknowledging.read(token)
    if subject is None:
        raise Http404
    if subject.organization_id != request.organization.pk:
        return _elsewhere(request, subject.organization_id)
    if request.method == "POST":
        by, at = access.actor(request), timezone.now()
        acknowledging.acknowledge(subject, person=request.user, by=by, at=at)
        if subject.topic == Topic.ANOMALY:
            verdicts.acknowledge(request, subject.subject, at=at)
    context = {
        "topic": dict(Topic.choices).get(subject.topic, ""),
        "told": inbox.told_about(request, subject.topic, subject.subject, now=timezone.now()),
        "made": acknowledging.of(subject.topic, subject.subject),
    }
    return render(request, "budgets/notifications/acknowledge.html", context)


def _elsewhere(request: OrganizationRequest, organization_id: UUID) -> HttpResponse:
    """Offer to change to the organization of a link, to those who belong there."""
    found = [
        one.organization for one in request.memberships if one.organization_id == organization_id
    ]
    if not found:
        raise Http404
    context = {"other": found[0]}
    return render(request, "budgets/notifications/elsewhere.html", context, status=409)
