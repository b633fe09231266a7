"""The pages of channels: the list, one channel, adding, changing, a new secret, putting away."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from attribution.tenancy import access, changes
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.channels import accounts, board
from budgets.channels.board import Line
from budgets.channels.forms import ChannelForm
from budgets.channels.models import Channel

FORM = ["GET", "HEAD", "POST"]


@require_safe
@organization_page("budgets:channel-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """List the channels."""
    lines = board.lines(request)
    may_write = access.may(request, "POST", "budgets:channel-add")
    context = {"lines": lines, "finding": board.finding(lines), "may_write": may_write}
    return render(request, "budgets/channels/list.html", context)


@require_safe
@organization_page("budgets:channel-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one channel."""
    channel = board.channel(request, object_id)
    context = {
        "line": Line.of(channel),
        "changes": changes.of(channel),
        "at": timezone.now(),
        "may_write": access.may(request, "POST", "budgets:channel-change"),
    }
    return render(request, "budgets/channels/show.html", context)


@sensitive_post_parameters("address")
@sensitive_variables("secret")
@require_http_methods(FORM)
@organization_page("budgets:channel-add")
def add(request: OrganizationRequest) -> HttpResponse:
    """Make a channel; what signs a webhook is shown once."""
    _whole(request)
    form = ChannelForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "budgets/channels/change.html", {"form": form})
    form.fill()
    secret = accounts.make(form.instance, by=access.actor(request))
    if secret:
        return _shown_once(request, form.instance, secret)
    messages.success(request, gettext("Added. Send a test message there."))
    return redirect("budgets:channel-show", object_id=form.instance.pk)


@sensitive_post_parameters("address")
@require_http_methods(FORM)
@organization_page("budgets:channel-change")
def change(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Change a channel."""
    channel = board.channel(request, object_id)
    form = ChannelForm(request.POST if request.method == "POST" else None, instance=channel)
    if request.method != "POST" or not form.is_valid():
        return render(request, "budgets/channels/change.html", {"form": form, "channel": channel})
    form.fill()
    accounts.change(form.instance, by=access.actor(request), fields=form.changed_data)
    messages.success(request, gettext("Saved: it holds from the next message on."))
    return redirect("budgets:channel-show", object_id=channel.pk)


@sensitive_variables("secret")
@require_http_methods(FORM)
@organization_page("budgets:channel-rotate")
def rotate(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Give a webhook a new signing secret and show it, once."""
    channel = board.channel(request, object_id)
    if request.method != "POST" or channel.secret_sealed is None:
        return render(request, "budgets/channels/rotate.html", {"channel": channel})
    secret = accounts.rotate(channel, by=access.actor(request), at=timezone.now())
    return _shown_once(request, channel, secret)


@require_http_methods(FORM)
@organization_page("budgets:channel-archive")
def archive(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Put a channel away."""
    channel = board.channel(request, object_id)
    if request.method != "POST":
        return render(request, "budgets/channels/archive.html", {"channel": channel})
    accounts.archive(channel, by=access.actor(request), at=timezone.now())
    messages.success(request, gettext("Put away: no message goes there any more."))
    return redirect("budgets:channel-list")


@sensitive_variables("secret")
def _shown_once(request: OrganizationRequest, channel: Channel, secret: str) -> HttpResponse:
    """Show a secret on the answer itself: nobody can read it again."""
    context = {"channel": channel, "secret": secret}
    response = render(request, "budgets/channels/secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _whole(request: OrganizationRequest) -> None:
    """Refuse people who see a part of the organization: a channel is of all of it."""
    if access.is_narrowed(request):
        raise PermissionDenied
