"""Secrets that people see once: on the answer itself, never in a message that is stored."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

KEY = "shown_once"


def keep(request: HttpRequest, name: str, secret: str) -> None:
    """Keep a secret for the answer to this request."""
    vars(request)[KEY] = {"name": name, "secret": secret}


def answer(
    request: HttpRequest, admin_site: AdminSite, *, title: str, text: str, back: str
) -> HttpResponse | None:
    """Return the page that shows the secret kept for this request; None when there is none."""
    kept: dict[str, Any] | None = vars(request).get(KEY)
    if kept is None:
        return None
    context = {**admin_site.each_context(request), **kept}
    context |= {"title": title, "text": text, "back": back}
    response = TemplateResponse(request, "attribution/tenancy/shown_once.html", context)
    response["Cache-Control"] = "no-store"
    return response
