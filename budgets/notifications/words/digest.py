"""Words of a summary: what each budget and department spent in a day, a week or a month."""

from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext, ngettext

from attribution.templatetags.tollkeeper import DASH, day_text, decimal, instant_text, month_text
from budgets.notifications.words import periods
from budgets.notifications.words.message import (
    ZERO,
    Message,
    Payload,
    Table,
    amount,
    day,
    instant,
    percent,
    plain,
    share_of,
    usd,
)


def summary(payload: Payload, *, now: datetime) -> Message:
    """Tell what was spent in a span, how budgets stand and what moved most."""
    spent, before = amount(payload, "spent"), amount(payload, "spent_before")
    alerts = len(payload["alerts"])
    names = {
        "organization": payload["organization"],
        "span": span(payload),
        "spent": _money(spent),
        "change": _change(spent, before),
        "alerts": ngettext("%(count)s alert", "%(count)s alerts", alerts) % {"count": alerts},
    }
    return Message(
        level="info",
        subject=plain(
            gettext("%(organization)s, %(span)s: %(spent)s USD spent, %(alerts)s") % names
        ),
        decision=_decision(payload),
        fact=gettext("%(spent)s USD were spent (%(span)s), %(change)s.") % names,
        button=gettext("Open the overview"),
        path=payload["path"],
        foot=periods.data_time(instant(payload, "at"), now=now),
        tables=tuple(table for table in _tables(payload) if table.rows),
        is_acknowledgeable=False,
    )


def span(payload: Payload) -> str:
    """Name the span of a summary."""
    first, last = day(payload, "first"), day(payload, "last")
    if first is None or last is None or first == last:
        return day_text(first) if first else ""
    if payload["kind"] == "monthly":
        return month_text(first)
    return f"{day_text(first)} – {day_text(last)}"  # noqa: RUF001 -- a range in print


def _decision(payload: Payload) -> str:
    over = [b["name"] for b in payload["budgets"] if amount(b, "actual") >= amount(b, "limit")]
    if over:
        return gettext("Used up: %(names)s.") % {"names": ", ".join(over)}
    late = [b["name"] for b in payload["budgets"] if amount(b, "forecast") > amount(b, "limit")]
    if late:
        return gettext("Forecast over their limit: %(names)s.") % {"names": ", ".join(late)}
    return gettext("No budget is used up or forecast to be.")


def _tables(payload: Payload) -> tuple[Table, ...]:
    return (
        Table(
            gettext("Budgets"),
            (
                *(gettext("Budget"), gettext("Limit (USD)"), gettext("Spent (USD)")),
                *(gettext("Used"), gettext("Held (USD)"), gettext("Forecast (USD)")),
            ),
            tuple(_budget(row) for row in payload["budgets"]),
        ),
        Table(
            gettext("Departments"),
            (gettext("Department"), gettext("Spent (USD)"), gettext("Compared with before")),
            tuple(_mover(row) for row in payload["departments"]),
        ),
        Table(
            gettext("What moved most"),
            (gettext("Cost center"), gettext("Spent (USD)"), gettext("Compared with before")),
            tuple(_mover(row) for row in payload["movers"]),
        ),
        Table(
            gettext("Alerts"),
            (gettext("Budget"), gettext("Threshold"), gettext("When")),
            tuple(_alert(row) for row in payload["alerts"]),
        ),
    )


def _budget(row: Payload) -> tuple[str, ...]:
    limit, actual = amount(row, "limit"), amount(row, "actual")
    forecast = _money(amount(row, "forecast")) if row["forecast"] else DASH
    share = percent(share_of(actual, limit))
    held = _money(amount(row, "held"))
    return row["name"], _money(limit), _money(actual), share, held, forecast


def _mover(row: Payload) -> tuple[str, ...]:
    spent, before = amount(row, "spent"), amount(row, "before")
    return row["name"] or gettext("not attributed"), _money(spent), _change(spent, before)


def _change(spent: Decimal, before: Decimal) -> str:
    """Say how an amount compares with the span before, which is named where it is new."""
    if not before:
        return gettext("nothing before") if spent else DASH
    change = (spent - before) / before
    if abs(change) < Decimal("0.005"):
        return gettext("as before")
    sign = "+" if change > ZERO else "\N{MINUS SIGN}"
    arrow = "\N{UPWARDS ARROW}" if change > ZERO else "\N{DOWNWARDS ARROW}"
    return f"{arrow} {sign}{percent(abs(change))}"


def _alert(row: Payload) -> tuple[str, ...]:
    return row["budget"], _level(row), instant_text(instant(row, "crossed_at"))


def _level(row: Payload) -> str:
    value = amount(row, "threshold")
    if row["unit"] == "factor":
        text = gettext("%(factor)s times the even pace")
        return text % {"factor": decimal(value, places=1)}
    return percent(value / 100) if row["unit"] == "percent" else usd(value)


def _money(value: Decimal) -> str:
    return decimal(value, places=2)
