"""The pages of upstreams: the list, one upstream, adding, changing, its credential, its test."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters

from attribution.tenancy import access, changes
from attribution.tenancy.access import OrganizationRequest, organization_page
from gateway.upstreams import accounts, board
from gateway.upstreams.accounts import TooManyTestsError
from gateway.upstreams.forms import CredentialForm, UpstreamPageForm, seal
from gateway.upstreams.models import Upstream


@organization_page("gateway:upstream-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """List the upstreams and how they stand."""
    lines = board.lines(board.visible(request), timezone.now())
    may_write = access.may(request, "POST", "gateway:upstream-add")
    context = {"lines": lines, "finding": board.finding(lines), "may_write": may_write}
    return render(request, "gateway/upstreams/list.html", context)


@organization_page("gateway:upstream-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one upstream."""
    chosen = board.upstream(request, object_id)
    [line] = board.lines(Upstream.objects.filter(pk=chosen.pk), timezone.now())
    context = {
        "line": line,
        "changes": changes.of(chosen),
        "may_write": access.may(request, "POST", "gateway:upstream-change"),
    }
    return render(request, "gateway/upstreams/show.html", context)


@sensitive_post_parameters("credential")
@organization_page("gateway:upstream-add")
def add(request: OrganizationRequest) -> HttpResponse:
    """Make an upstream."""
    form = UpstreamPageForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "gateway/upstreams/change.html", {"form": form})
    form.seal()
    accounts.make(form.instance, by=access.actor(request))
    messages.success(request, gettext("Added. Test it, then let a route lead there."))
    return redirect("gateway:upstream-show", object_id=form.instance.pk)


@sensitive_post_parameters("credential")
@organization_page("gateway:upstream-change")
def change(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Change an upstream."""
    chosen = board.upstream(request, object_id)
    form = UpstreamPageForm(request.POST if request.method == "POST" else None, instance=chosen)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "upstream": chosen}
        return render(request, "gateway/upstreams/change.html", context)
    form.seal()
    accounts.change(form.instance, by=access.actor(request), fields=form.changed_data)
    messages.success(request, gettext("Saved: it holds from the next call on."))
    return redirect("gateway:upstream-show", object_id=chosen.pk)


@sensitive_post_parameters("credential")
@organization_page("gateway:upstream-reseal")
def reseal(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Give an upstream another credential."""
    chosen = board.upstream(request, object_id)
    form = CredentialForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "upstream": chosen}
        return render(request, "gateway/upstreams/reseal.html", context)
    seal(chosen, form.cleaned_data["credential"])
    accounts.change(chosen, by=access.actor(request), fields=["credential"])
    messages.success(request, gettext("Replaced: the next call is sent with it."))
    return redirect("gateway:upstream-show", object_id=chosen.pk)


@organization_page("gateway:upstream-test")
def test(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Ask for a test (POST), or show what the latest one found (GET)."""
    chosen, at = board.upstream(request, object_id), timezone.now()
    if request.method == "POST":
        try:
            accounts.test(chosen, by=access.actor(request), at=at)
        except TooManyTestsError:
            messages.error(request, gettext("Tested a moment ago: try again in some seconds."))
        return redirect("gateway:upstream-show", object_id=chosen.pk)
    [line] = board.lines(Upstream.objects.filter(pk=chosen.pk), at)
    return render(request, "gateway/upstreams/test.html", {"line": line})
