"""What people call a budget period, and how old figures are."""

import zoneinfo
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext, ngettext, pgettext

from attribution import calendar
from attribution.templatetags.tollkeeper import day_text, instant_text, month_text
from budgets.limits.models import PeriodKind
from budgets.notifications.words.message import Payload, instant

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def named(period: Payload) -> str:
    """Name a budget period as people do: November, Q4 2026, 22 Nov 2026, or its two days."""
    zone = zoneinfo.ZoneInfo(period["time_zone"] or timezone.get_current_timezone_name())
    first = calendar.local_day(instant(period, "starts_at"), zone)
    kind = period["kind"]
    if kind == PeriodKind.MONTH:
        return month_text(first).replace(str(first.year), "").strip(" 年")
    if kind == PeriodKind.QUARTER:
        # Translators: a quarter of a year, such as "Q4 2026".
        number, year = (first.month + 2) // 3, first.year
        return pgettext("quarter", "Q%(number)s %(year)s") % {"number": number, "year": year}
    if kind == PeriodKind.YEAR:
        return str(first.year)
    if kind == PeriodKind.DAY:
        return day_text(first)
    last = calendar.local_day(instant(period, "ends_at"), zone)
    return f"{day_text(first)} – {day_text(last)}"  # noqa: RUF001 -- a range in print


def ending(period: Payload) -> str:
    """Write the day on which a period's successor starts."""
    zone = zoneinfo.ZoneInfo(period["time_zone"] or timezone.get_current_timezone_name())
    return day_text(calendar.local_day(instant(period, "ends_at"), zone))


def data_time(at: datetime, *, now: datetime) -> str:
    """Say to when figures reach, and how old they are."""
    figures = {
        "time": instant_text(at),
        "zone": timezone.get_current_timezone_name(),
        "age": age(max(timedelta(0), now - at)),
    }
    return gettext("Data to %(time)s (%(zone)s), %(age)s.") % figures


def age(span: timedelta) -> str:
    """Say how old something is, in its largest unit."""
    if span < MINUTE:
        return gettext("less than a minute old")
    if span < HOUR:
        count = span // MINUTE
        return ngettext("%(count)s minute old", "%(count)s minutes old", count) % {"count": count}
    if span < DAY:
        count = span // HOUR
        return ngettext("%(count)s hour old", "%(count)s hours old", count) % {"count": count}
    count = span // DAY
    return ngettext("%(count)s day old", "%(count)s days old", count) % {"count": count}
