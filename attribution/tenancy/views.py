"""Signing in and out, and what a person chooses: organization, language, theme."""

from uuid import UUID

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from attribution.tenancy import access
from attribution.tenancy.models import Theme, User

YEAR = 365 * 24 * 3600
THEME_COOKIE = "theme"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for e-mail and password; go where the person wanted to go."""
    form = AuthenticationForm(request, data=_lowered(request.POST) or None)
    if request.method == "POST" and form.is_valid():
        user = form.get_user()
        login(request, user)
        return _with_choices(_back(request), user)
    context = {"form": form, "next": _next(request)}
    return render(request, "attribution/tenancy/sign_in.html", context)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect(settings.LOGIN_URL)


@require_POST
def switch_organization(request: HttpRequest) -> HttpResponse:
    """Serve this person in another of their organizations; an unknown one is the same 404."""
    slug = request.POST.get("organization", "")
    access.enter(request, _organization_id(request, slug))
    return redirect(settings.LOGIN_REDIRECT_URL)


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Show every page in this language from now on."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        raise BadRequest("language")
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(language=language)
    return _remember(_back(request), settings.LANGUAGE_COOKIE_NAME, language)


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Show every page light, dark, or as the system does."""
    theme = request.POST.get("theme", "")
    if theme not in Theme.values:
        raise BadRequest("theme")
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(theme=theme)
    return _remember(_back(request), THEME_COOKIE, theme)


def _lowered(form: QueryDict) -> QueryDict:
    """Return the form with the e-mail address as it is stored: in small letters."""
    changed = form.copy()
    if "username" in changed:
        changed["username"] = str(changed["username"]).strip().lower()
    return changed


def _organization_id(request: HttpRequest, slug: str) -> UUID:
    if not isinstance(request.user, User):
        raise Http404
    allowed = {m.organization.slug: m.organization_id for m in access.belongings(request.user.pk)}
    if slug not in allowed:
        raise Http404
    return allowed[slug]


def _with_choices(response: HttpResponse, user: User) -> HttpResponse:
    """Bring along what the person chose on another device."""
    if user.language and translation.check_for_language(user.language):
        _remember(response, settings.LANGUAGE_COOKIE_NAME, user.language)
    return _remember(response, THEME_COOKIE, user.theme)


def _remember(response: HttpResponse, name: str, value: str) -> HttpResponse:
    response.set_cookie(
        name,
        value,
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _back(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    """Return the address to go to, if it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else settings.LOGIN_REDIRECT_URL
