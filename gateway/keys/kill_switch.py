"""The pages of the kill switch: what is blocked, blocking, cutting calls under way, unblocking."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from attribution.tenancy import access, blocks
from attribution.tenancy.access import OrganizationRequest, organization_page
from attribution.tenancy.models import BlockedKind
from gateway.keys import reach, shelf
from gateway.keys.forms import BlockForm
from gateway.keys.reach import Reach


@organization_page("gateway:block-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show what is blocked, what was, and what can be; a chosen cost center has its own page."""
    if chosen := request.GET.get("center"):
        center = access.cost_center(request, chosen)
        return redirect("gateway:center-block", object_id=center.pk)
    standing = list(reach.standing(request))
    stopped = {block.target_id for block in standing if block.kind == BlockedKind.COST_CENTER}
    centers = access.cost_centers(request).filter(is_active=True).exclude(pk__in=stopped)
    context = {
        "standing": standing,
        "past": list(reach.past(request)),
        "centers": list(centers.order_by("code")),
        "is_stopped": any(block.kind == BlockedKind.ORGANIZATION for block in standing),
        "is_whole": not access.is_narrowed(request),
        "may_block": access.may(request, "POST", "gateway:center-block"),
    }
    return render(request, "gateway/keys/blocks.html", context)


@organization_page("gateway:organization-block")
def block_organization(request: OrganizationRequest) -> HttpResponse:
    """Stop every key of the organization."""
    if access.is_narrowed(request):
        raise PermissionDenied
    found = reach.of_organization(request, timezone.now())
    return _block(request, found, back=reverse("gateway:block-list"))


@organization_page("gateway:center-block")
def block_center(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Stop what is booked to a cost center."""
    center = access.cost_center(request, object_id)
    found = reach.of_cost_center(request, center, timezone.now())
    return _block(request, found, back=reverse("gateway:block-list"))


@organization_page("gateway:key-block")
def block_key(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Stop a key, with every secret of it."""
    key = shelf.key(request, object_id)
    if key.revoked_at is not None:
        messages.error(request, gettext("This key is revoked: there is nothing to block."))
        return redirect("gateway:key-show", object_id=key.pk)
    back = reverse("gateway:key-show", args=[key.pk])
    return _block(request, reach.of_key(key), back=back)


@organization_page("gateway:block-cut")
def cut(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """End the calls under way that a block let finish."""
    block = reach.block(request, object_id)
    if block.lifted_at is not None or block.is_cut:
        return _over(request)
    if request.method != "POST":
        return render(request, "gateway/keys/block_cut.html", {"stop": block})
    blocks.cut(block, by=access.actor(request))
    messages.success(request, gettext("Calls under way are cut in every gateway."))
    return redirect("gateway:block-list")


@organization_page("gateway:block-lift")
def lift(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Admit calls again."""
    block = reach.block(request, object_id)
    if block.lifted_at is not None:
        return _over(request)
    if request.method != "POST":
        return render(request, "gateway/keys/block_lift.html", {"stop": block})
    blocks.lift(block, by=access.actor(request), at=timezone.now())
    text = gettext("%(name)s is unblocked: its calls are admitted again.")
    messages.success(request, text % {"name": block.target_name})
    return redirect("gateway:block-list")


def _block(request: OrganizationRequest, found: Reach, *, back: str) -> HttpResponse:
    """Ask for the reason and the name, then stop the target."""
    target = found.target
    if blocks.over(target) is not None:
        messages.info(request, gettext("%(name)s is blocked already.") % {"name": target.name})
        return redirect(back)
    form = BlockForm(target.name, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        context: dict[str, Any] = {"form": form, "reach": found, "back": back}
        return render(request, "gateway/keys/block.html", context)
    reason, by, at = form.cleaned_data["reason"], access.actor(request), timezone.now()
    blocks.impose(target, reason=reason, is_cut=form.is_cut, by=by, at=at)
    text = gettext("%(name)s is blocked: every gateway refuses its calls from now on.")
    messages.success(request, text % {"name": target.name})
    return redirect(back)


def _over(request: OrganizationRequest) -> HttpResponse:
    messages.info(request, gettext("There is nothing left to do: somebody was faster."))
    return redirect("gateway:block-list")
