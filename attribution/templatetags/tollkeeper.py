"""How amounts, instants and shares are shown: the only way they reach a template."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, cast

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.formats import get_format
from django.utils.html import format_html
from django.utils.numberformat import format as format_number
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext

from attribution import money as exact
from attribution.approvals import docket
from attribution.isolation.transaction import current
from attribution.tenancy import access, blocks
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import Block

register = template.Library()

NO_BREAK = "\N{NO-BREAK SPACE}"
DASH = "\N{EM DASH}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
RISEN, FALLEN = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"
MINUS = "\N{MINUS SIGN}"
CENT = Decimal("0.01")
# from which amount on, divided by what, with which letter
STEPS = ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k"))


@register.filter
def money(amount: Decimal | None, style: str = "") -> SafeString | str:
    """Show an amount: two decimals, six below a cent; "compact" for headlines; the exact one aside."""
    if amount is None:
        return unknown(gettext("No price is known, or the call is still open."))
    shown = compact(amount) if style == "compact" else decimal(amount, places=_places(amount))
    full = decimal(amount, places=max(2, _decimals(amount)))
    if shown == full:
        return shown
    return format_html('<data value="{}" title="{}">{}</data>', exact.text(amount), full, shown)


@register.filter
def rate(amount: Decimal | None) -> SafeString | str:
    """Show a rate with all its decimals, two at least."""
    if amount is None:
        return unknown(gettext("Not stated."))
    return decimal(amount, places=max(2, _decimals(amount)))


@register.filter
def count(number: int | None) -> SafeString | str:
    """Show a whole number, grouped as the language does."""
    return unknown(gettext("Not known.")) if number is None else decimal(Decimal(number), places=0)


@register.filter
def percent(share: Decimal | None) -> SafeString | str:
    """Show a share of one: no decimals from 10 % up, one below."""
    return (
        unknown(gettext("There is nothing to compare with."))
        if share is None
        else share_text(share)
    )


@register.filter
def delta(change: Decimal | None) -> SafeString | str:
    """Show by what share something rose or fell: an arrow, a sign, no decimals from 10 % up."""
    if change is None:
        return unknown(gettext("There is nothing to compare with."))
    share = share_text(abs(change))
    if not change:
        return share
    return f"{RISEN}{NARROW}+{share}" if change > 0 else f"{FALLEN}{NARROW}{MINUS}{share}"


@register.filter
def milliseconds(duration: Decimal | int | None) -> SafeString | str:
    """Show a latency in whole milliseconds."""
    if duration is None:
        return unknown(gettext("No call was timed."))
    return decimal(Decimal(duration).quantize(Decimal(1), ROUND_HALF_EVEN), places=0)


@register.filter
def when(instant: datetime | None, style: str = "") -> SafeString:
    """Show an instant in the zone of the organization; its title says it in UTC."""
    if instant is None:
        return unknown(gettext("Not known yet."))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        instant.astimezone(UTC).isoformat(timespec="seconds"),
        f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        instant_text(instant, style),
    )


@register.filter
def day(value: date | None) -> str:
    """Show a local day."""
    return "" if value is None else day_text(value)


@register.filter
def shown(value: Any, kind: str) -> SafeString | str:
    """Show a cell of a table by what its column holds; text goes through escaping as it is."""
    show = SHOWN.get(kind)
    return show(value) if show else str(value)


@register.filter
def raw(value: Any) -> str:
    """Return a cell as plain text for sorting: exact numbers, ISO instants, nothing for unknown."""
    if isinstance(value, Decimal):
        return exact.text(value)
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw a symbol of the sprite; it is decoration, the word stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        static("icons.svg"),
        name,
    )


@register.simple_tag
def may_open(request: HttpRequest | None, name: str) -> bool:
    """Say whether the person who looks may open a page; links that lead nowhere are not drawn."""
    is_placed = bool(getattr(request, "memberships", None))
    return request is not None and is_placed and access.may(request, "GET", name)


@register.simple_tag
def approvals_waiting(request: Any) -> int:
    """Return how many requests wait for the person who looks."""
    return docket.waiting(request) if request is not None else 0


@register.simple_tag
def standing_blocks(request: HttpRequest | None) -> Sequence[Block]:
    """Return what the kill switch stops now, as far as the person who looks is told of it."""
    is_served = current() is not None and hasattr(request, "membership")
    return blocks.shown(cast("OrganizationRequest", request)) if is_served else []


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Return the theme that the person chose: light, dark, or nothing to follow the system."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme", "") if isinstance(request, HttpRequest) else ""
    return chosen if chosen in {"light", "dark"} else ""


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: str) -> str:
    """Return the address of this page with some filters changed; an empty one is dropped."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters.pop(name, None)
        if value:
            parameters[name] = value
    return f"?{parameters.urlencode()}"


SHOWN: dict[str, Callable[[Any], SafeString | str]] = {
    "money": money,
    "count": count,
    "percent": percent,
    "milliseconds": milliseconds,
    "day": day,
    "instant": when,
}


def unknown(reason: str) -> SafeString:
    """Return the dash that stands for what is not known, with its reason on hover and focus."""
    return format_html(
        '<span class="hint" role="img" tabindex="0" data-hint="{0}" aria-label="{0}">{1}</span>',
        reason,
        DASH,
    )


def decimal(number: Decimal, *, places: int) -> str:
    """Write a number with the separators of the active language, in groups of three."""
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, context=exact.EXACT)
    return format_number(
        rounded or abs(rounded),
        get_format("DECIMAL_SEPARATOR"),
        decimal_pos=places,
        grouping=3,
        thousand_sep=get_format("THOUSAND_SEPARATOR") or ",",  # Chinese names none
        force_grouping=True,
        use_l10n=True,
    )


def compact(amount: Decimal) -> str:
    """Write a headline amount: 12.4 k, 1.25 M; below a thousand as in tables."""
    for threshold, step, letter in STEPS:
        if abs(amount) >= threshold:
            return f"{decimal(amount / step, places=1)}{NO_BREAK}{letter}"
    return decimal(amount, places=_places(amount))


def share_text(share: Decimal) -> str:
    """Write a share of one as a percentage."""
    hundred = share * 100
    number = decimal(hundred, places=0 if abs(hundred) >= 10 or not hundred else 1)
    # Translators: a percentage; keep or drop the space as the language writes it.
    return (gettext("%(number)s %%") % {"number": number}).replace(" ", NO_BREAK)


def instant_text(instant: datetime, style: str = "") -> str:
    """Write an instant in the active zone: "" day and time, "time" to the second, "day", "hour"."""
    local = timezone.localtime(instant)
    if style == "time":
        return f"{local:%H:%M:%S}"
    if style == "day":
        return day_text(local)
    return f"{day_text(local)} {local:%H:%M}"


def day_text(day: date) -> str:
    """Write a day as the language does."""
    # Translators: Django date format of a day, such as "22 Nov 2026".
    return format_date(day, pgettext("date format", "j M Y"))


def axis_text(day: date) -> str:
    """Write a day shortly, as the axis of a chart has room for."""
    # Translators: Django date format of a day on an axis, such as "22 Nov".
    return format_date(day, pgettext("date format", "j M"))


def month_text(day: date) -> str:
    """Write the month of a day as the language does."""
    # Translators: Django date format of a month, such as "November 2026".
    return format_date(day, pgettext("date format", "F Y"))


def _places(amount: Decimal) -> int:
    return 6 if amount and abs(amount) < CENT else 2


def _decimals(amount: Decimal) -> int:
    return len(exact.text(amount).partition(".")[2])
