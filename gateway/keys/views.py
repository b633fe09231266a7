"""The pages of API keys: the list, one key, issuing, changing, rotating, revoking."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from attribution.tenancy import access, blocks, changes
from attribution.tenancy.access import OrganizationRequest, organization_page
from gateway.keys import keyring, reach, shelf
from gateway.keys.forms import KeyPageForm, RevocationForm, RotationForm
from gateway.keys.models import ApiKey
from gateway.keys.shelf import Line


@organization_page("gateway:key-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """List the keys that this person may look at."""
    at = timezone.now()
    found = {"shelf": shelf.page(request, at), "example": "Authorization: Bearer tk_live_…"}
    may_issue = access.may(request, "POST", "gateway:key-issue")
    return render(request, "gateway/keys/list.html", {**found, "may_issue": may_issue})


@organization_page("gateway:key-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one key and what it may do."""
    key, at = shelf.key(request, object_id), timezone.now()
    block = blocks.over(reach.of_key(key).target)
    context = {
        "line": Line.of(key, at, {block.target_id} if block else ()),
        "stop": block,
        "is_told": block is not None and block in blocks.shown(request),  # by the page's banner
        "may_lift": access.may(request, "POST", "gateway:block-lift"),
        "others": list(shelf.others_of(key, at)),
        "changes": changes.of(key),
        "may_change": access.may(request, "POST", "gateway:key-change"),
        "may_keep": access.may(request, "POST", "gateway:key-rotate"),
    }
    return render(request, "gateway/keys/show.html", context)


@sensitive_variables("secret")
@organization_page("gateway:key-issue")
def issue(request: OrganizationRequest) -> HttpResponse:
    """Make a key and show its text, once."""
    form = KeyPageForm(request, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "gateway/keys/change.html", {"form": form})
    fields = {name: value for name, value in form.cleaned_data.items() if name != "name"}
    by = access.actor(request)
    key, secret = keyring.issue(form.cleaned_data["name"], by=by, fields=fields)
    return _shown_once(request, key, secret)


@organization_page("gateway:key-change")
def change(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Change what a key may do."""
    key = shelf.key(request, object_id)
    if key.revoked_at is not None:
        return _ended(request, key)
    form = KeyPageForm(request, request.POST if request.method == "POST" else None, instance=key)
    if request.method != "POST" or not form.is_valid():
        return render(request, "gateway/keys/change.html", {"form": form, "key": key})
    keyring.change(form.save(commit=False), by=access.actor(request), fields=form.changed_data)
    messages.success(request, gettext("Saved: it holds from the next call on."))
    return redirect("gateway:key-show", object_id=key.pk)


@sensitive_variables("secret")
@organization_page("gateway:key-rotate")
def rotate(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Give a key a new secret and show it, once; the old one goes on for a while."""
    key = shelf.key(request, object_id)
    if key.revoked_at is not None:
        return _ended(request, key)
    is_free = access.may(request, "POST", "gateway:key-change")
    form = RotationForm(
        None if is_free else key.expires_at, request.POST if request.method == "POST" else None
    )
    if request.method != "POST" or not form.is_valid():
        return render(request, "gateway/keys/rotate.html", {"form": form, "key": key})
    until = timezone.now() + form.length
    by, ends = access.actor(request), form.cleaned_data["expires_at"]
    made, secret = keyring.rotate(key, by=by, overlap_until=until, expires_at=ends)
    return _shown_once(request, made, secret, old_until=min(until, key.expires_at or until))


@organization_page("gateway:key-revoke")
def revoke(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Refuse a key for ever, from its next call on."""
    key, at = shelf.key(request, object_id), timezone.now()
    if key.revoked_at is not None:
        return _ended(request, key)
    form = RevocationForm(key.name, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "key": key, "others": list(shelf.others_of(key, at))}
        return render(request, "gateway/keys/revoke.html", context)
    keyring.revoke(key, by=access.actor(request), at=at)
    messages.success(request, gettext("Revoked: the gateway refuses it from the next call on."))
    return redirect("gateway:key-list")


def _ended(request: OrganizationRequest, key: ApiKey) -> HttpResponse:
    messages.error(request, gettext("This key is revoked: issue a new one."))
    return redirect("gateway:key-show", object_id=key.pk)


@sensitive_variables("secret")
def _shown_once(
    request: OrganizationRequest, key: ApiKey, secret: str, *, old_until: datetime | None = None
) -> HttpResponse:
    """Show a secret on the answer itself: it is kept nowhere."""
    context: dict[str, Any] = {"key": key, "secret": secret, "old_until": old_until}
    context |= {"base_url": f"{settings.TOLLKEEPER_API_URL}/v1", "at": timezone.now()}
    response = render(request, "gateway/keys/secret.html", context)
    response["Cache-Control"] = "no-store"
    return response
