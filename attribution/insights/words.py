"""What an anomaly says to people: how much, when, why, and who made most of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution.insights.causes import PARTS
from attribution.insights.models import LATE, Anomaly, Granularity, Verdict
from attribution.templatetags.tollkeeper import day_text, decimal

MINUS, EN_DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
CENT = Decimal("0.005")  # a part that shows as less than a cent is not told in a sentence
NAMES = {
    "price": _("price"),
    "volume": _("volume"),
    "intensity": _("intensity"),
    "mix": _("mix"),
}
MEANINGS = {
    "price": _("the same tokens cost more or less"),
    "volume": _("more or fewer calls"),
    "intensity": _("more or fewer tokens per call"),
    "mix": _("dearer or cheaper kinds of tokens"),
}
DIMENSIONS = {"api_key": _("API key"), "prompt": _("prompt"), "feature": _("feature")}
LEVELS = {
    Verdict.NEW: "warn",
    Verdict.ACKNOWLEDGED: "info",
    Verdict.EXPECTED: "good",
    Verdict.FALSE_POSITIVE: "good",
}


def signed(amount: Decimal) -> str:
    """Write a difference with its sign."""
    sign = MINUS if amount < 0 else "+" if amount else ""
    return f"{sign}{decimal(abs(amount), places=2)}"


def place(row: Anomaly) -> str:
    """Say where: cost center, model, and of an engineer's the key."""
    center = row.cost_center.code if row.cost_center else gettext("not attributed")
    parts = [center, row.model, *([row.api_key_name] if row.api_key_id else [])]
    return " · ".join(part for part in parts if part)


def span(row: Anomaly) -> str:
    """Say when, in days or hours of the organization's zone."""
    first, last = timezone.localtime(row.starts_at), timezone.localtime(row.ends_at)
    end = timezone.localtime(row.ends_at - timedelta(seconds=1))
    if row.granularity == Granularity.HOUR:
        return f"{day_text(first)} {first:%H:%M}{EN_DASH}{last:%H:%M}"
    if first.date() == end.date():
        return day_text(first)
    return f"{day_text(first)} {EN_DASH} {day_text(end)}"


def finding(row: Anomaly, *, at: datetime) -> str:
    """Say in a sentence what happened."""
    facts = {
        "actual": decimal(row.actual, places=2),
        "expected": decimal(row.expected, places=2),
        "impact": decimal(abs(row.impact), places=2),
        "when": span(row),
    }
    if row.ends_at > at:
        text = gettext(
            "%(when)s, still running: %(actual)s USD so far instead of %(expected)s USD,"
            " %(impact)s USD more than expected."
        )
    elif row.impact > 0:
        text = gettext(
            "%(when)s: %(actual)s USD instead of %(expected)s USD,"
            " %(impact)s USD more than expected."
        )
    else:
        text = gettext(
            "%(when)s: %(actual)s USD instead of %(expected)s USD,"
            " %(impact)s USD less than expected."
        )
    return text % facts


def why(row: Anomaly) -> str:
    """Say why in a line: the parts of the change, the largest first."""
    if row.reason.get("is_new"):
        return gettext("new spend")
    told = [(name, amount) for name, amount in parts(row) if abs(amount) >= CENT]
    if not told:
        return gettext("its calls are not all at hand")
    told.sort(key=lambda part: -abs(part[1]))
    return ", ".join(f"{NAMES[name]} {signed(amount)}" for name, amount in told)


def parts(row: Anomaly) -> list[tuple[str, Decimal]]:
    """Return the parts of the change by name; none of new spend, or without its calls."""
    return [(name, Decimal(row.reason[name])) for name in PARTS if name in row.reason]


def named(row: Anomaly) -> list[dict[str, Any]]:
    """Return who made most of the change: API key, prompt and feature, the largest first."""
    return [
        {
            "dimension": str(DIMENSIONS[one["dimension"]]),
            "name": one["name"] or one["value"],
            "change": Decimal(one["change"]),
        }
        for one in row.reason.get("named", [])
    ]


def most(row: Anomaly) -> str:
    """Say who made most of the change."""
    found = named(row)
    if not found:
        return ""
    facts = {**found[0], "change": signed(found[0]["change"])}
    return gettext("%(dimension)s %(name)s %(change)s") % facts


def note(row: Anomaly) -> str:
    """Return what was noted about an anomaly."""
    return gettext("Late data made it usual.") if row.note == LATE else row.note


def summary(count: int, more: Decimal, less: Decimal) -> str:
    """Say in a sentence what the list holds."""
    if not count:
        return ""
    text = ngettext("%(count)s anomaly", "%(count)s anomalies", count) % {"count": count}
    told = []
    if more:
        amount = decimal(more, places=2)
        told.append(gettext("%(amount)s USD more than expected") % {"amount": amount})
    if less:
        amount = decimal(less, places=2)
        told.append(gettext("%(amount)s USD less than expected") % {"amount": amount})
    return ": ".join([text, gettext(" and ").join(told)]) if told else text
