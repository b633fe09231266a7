"""The pages of what went out, for those who keep the channels: history, sending again, tests."""

from typing import cast

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from attribution.audit import trail
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.channels import board
from budgets.channels.models import ChannelKind, Topic
from budgets.notifications import events, history
from budgets.notifications.history import Asked


@require_safe
@organization_page("budgets:notification-history")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show what went out, narrowed as asked."""
    asked, now = Asked.of(cast("QueryDict", request.GET)), timezone.now()
    lines, following = history.lines(request, asked, now=now)
    context = {
        "lines": lines,
        "asked": asked,
        "next_before": following,
        "finding": history.finding(request),
        "states": [(name, word) for name, (word, _) in history.STATES.items()],
        "topics": Topic.choices,
        "channels": ChannelKind.choices,
    }
    return render(request, "budgets/notifications/history.html", context)


@require_safe
@organization_page("budgets:notification-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one message: what it said, and what became of it."""
    row = history.message(request, object_id)
    context = {
        "line": history.line(row, now=timezone.now()),
        "others": history.visible(request).filter(resends=row.resends or row).exclude(pk=row.pk),
        "may_resend": access.may(request, "POST", "budgets:notification-resend"),
    }
    return render(request, "budgets/notifications/show.html", context)


@require_POST
@organization_page("budgets:notification-resend")
def resend(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Send a message once more."""
    row = history.message(request, object_id)
    if row.channel == ChannelKind.IN_APP:
        messages.error(request, gettext("A note in the pages is there already."))
        return redirect("budgets:notification-show", object_id=row.pk)
    again = history.resend(row, by=access.actor(request), at=timezone.now())
    messages.success(request, gettext("It goes out again within seconds."))
    return redirect("budgets:notification-show", object_id=again.pk)


@require_POST
@organization_page("budgets:channel-test")
def test(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Send a test message to a channel."""
    channel, now = board.channel(request, object_id), timezone.now()
    payload = {"channel_id": str(channel.pk), "person": str(request.user)}
    events.leave(Topic.TEST, f"{channel.pk}:{now:%Y-%m-%dT%H:%M:%S}", payload)
    trail.append("channel.tested", by=access.actor(request), on=channel)
    text = gettext(
        "A test message is on its way: the history shows within seconds whether it came."
    )
    messages.success(request, text)
    return redirect("budgets:channel-show", object_id=channel.pk)
