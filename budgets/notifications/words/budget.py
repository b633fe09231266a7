"""Words about budgets: thresholds, recovery, a meter that is silent."""

from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext

from attribution.templatetags.tollkeeper import day_text, decimal
from budgets.notifications.words import periods
from budgets.notifications.words.message import (
    ONE,
    ZERO,
    Message,
    Payload,
    amount,
    bar,
    day,
    instant,
    percent,
    places,
    plain,
    share_of,
    usd,
)


def threshold(payload: Payload, *, now: datetime) -> Message:
    """Tell that a threshold was crossed, on actual spend, on the forecast or on the pace."""
    limit, actual = amount(payload, "limit"), amount(payload, "actual")
    share = share_of(actual, limit)
    names = _names(payload, actual=actual, limit=limit)
    return Message(
        level="bad" if share >= ONE else "warn",
        subject=plain(_subject(payload, names)),
        decision=_decision(payload, share),
        fact=_fact(payload, names),
        button=gettext("Open the budget"),
        path=payload["path"],
        foot=_foot(payload, now),
        bar=bar(share),
        under_bar=gettext("%(actual)s of %(limit)s USD, %(share)s") % names,
        rows=_rows(payload, limit=limit, actual=actual),
    )


def recovered(payload: Payload, *, now: datetime) -> Message:
    """Tell that a budget is below its thresholds again."""
    limit, actual = amount(payload, "limit"), amount(payload, "actual")
    names = _names(payload, actual=actual, limit=limit)
    if payload.get("from") == "no_data":
        return _heard_again(payload, names, now=now)
    text = gettext("%(name)s: below its thresholds again (%(actual)s of %(limit)s USD)")
    return Message(
        level="good",
        subject=plain(text % names),
        decision=gettext("Nothing needs to be done."),
        fact=gettext(
            "%(name)s has used %(share)s of its %(period)s budget after its limit was raised or a "
            "cost was corrected."
        )
        % names,
        button=gettext("Open the budget"),
        path=payload["path"],
        foot=periods.data_time(instant(payload, "at"), now=now),
        bar=bar(share_of(actual, limit)),
        under_bar=gettext("%(actual)s of %(limit)s USD, %(share)s") % names,
        is_acknowledgeable=False,
    )


def _heard_again(payload: Payload, names: dict[str, str], *, now: datetime) -> Message:
    """Tell that a budget that was silent has calls again."""
    return Message(
        level="good",
        subject=plain(gettext("%(name)s: calls are coming again") % names),
        decision=gettext("Nothing needs to be done."),
        fact=gettext("%(name)s had no calls for a while and has some again.") % names,
        button=gettext("Open the budget"),
        path=payload["path"],
        foot=periods.data_time(instant(payload, "at"), now=now),
        is_acknowledgeable=False,
    )


def no_data(payload: Payload, *, now: datetime) -> Message:
    """Tell that a budget that usually has calls has none: a broken meter looks like thrift."""
    limit, actual = amount(payload, "limit"), amount(payload, "actual")
    names = _names(payload, actual=actual, limit=limit)
    silent = day(payload, "silent_since")
    names["day"] = day_text(silent) if silent else ""
    return Message(
        level="warn",
        subject=plain(gettext("%(name)s: no calls since %(day)s, which is unusual") % names),
        decision=gettext("Check that its programs still send their calls through the gateway."),
        fact=gettext(
            "%(name)s usually has calls on such days and has none since %(day)s. What it shows as "
            "spent may be too low."
        )
        % names,
        button=gettext("Open the budget"),
        path=payload["path"],
        foot=periods.data_time(instant(payload, "at"), now=now),
    )


def _names(payload: Payload, *, actual: Decimal, limit: Decimal) -> dict[str, str]:
    figures = {"actual": actual, "limit": limit, "forecast": amount(payload, "forecast")}
    shown = {name: decimal(value, places=places(limit)) for name, value in figures.items()}
    factor = amount(payload, "burn_factor")
    return {
        **shown,
        "name": payload["budget"]["name"],
        "period": periods.named(payload["period"]),
        "share": percent(share_of(actual, limit)),
        "forecast_share": percent(share_of(figures["forecast"], limit)),
        "factor": decimal(factor, places=1),
        "hours": str(payload.get("hours") or ""),
    }


def _subject(payload: Payload, names: dict[str, str]) -> str:
    if payload["basis"] == "forecast":
        # Translators: subject of an e-mail: RND: forecast 116 % of November budget (2,310 of 2,000 USD)
        return (
            gettext(
                "%(name)s: forecast %(forecast_share)s of %(period)s budget "
                "(%(forecast)s of %(limit)s USD)"
            )
            % names
        )
    if payload["basis"] == "burn_rate":
        # Translators: subject of an e-mail: RND: spends 3.2 times the even pace of November
        return gettext("%(name)s: spends %(factor)s times the even pace of %(period)s") % names
    # Translators: subject of an e-mail: RND: 80 % of November budget used (1,604 of 2,000 USD)
    return (
        gettext("%(name)s: %(share)s of %(period)s budget used (%(actual)s of %(limit)s USD)")
        % names
    )


def _fact(payload: Payload, names: dict[str, str]) -> str:
    if payload["basis"] == "forecast":
        return (
            gettext(
                "%(name)s is forecast to use %(forecast_share)s of its %(period)s budget; "
                "%(share)s is used so far."
            )
            % names
        )
    if payload["basis"] == "burn_rate":
        return (
            gettext(
                "In %(hours)s hours %(name)s spent %(factor)s times what an even pace allows; "
                "%(share)s of its %(period)s budget is used so far."
            )
            % names
        )
    return gettext("%(name)s has used %(share)s of its %(period)s budget.") % names


def _decision(payload: Payload, share: Decimal) -> str:
    """Say what there is to decide: raise the limit, or let the calls be refused or go on."""
    is_full = share >= ONE
    if payload["is_hard"]:
        if is_full:
            return gettext("Calls are refused until you raise this budget or its period ends.")
        return gettext("Calls will be refused when it is used up: raise it, or spend less.")
    if is_full:
        return gettext("Calls go on: this budget warns and does not block. Raise it, or block.")
    return gettext("Nothing is blocked. Decide now whether this budget is to be raised.")


def _rows(payload: Payload, *, limit: Decimal, actual: Decimal) -> tuple[tuple[str, str], ...]:
    rows = [
        (gettext("Spent"), usd(actual, like=limit)),
        (gettext("Limit"), usd(limit, like=limit)),
        (gettext("Left"), usd(max(ZERO, limit - actual), like=limit)),
        (gettext("Alert set at"), _level(payload)),
    ]
    if payload.get("forecast"):
        text = gettext("Forecast for the whole period")
        rows.append((text, usd(amount(payload, "forecast"), like=limit)))
    rows.append((gettext("Starts anew on"), periods.ending(payload["period"])))
    return tuple(rows)


def _level(payload: Payload) -> str:
    value = amount(payload, "threshold")
    if payload["unit"] == "factor":
        text = gettext("%(factor)s times the even pace")
        return text % {"factor": decimal(value, places=1)}
    shown = percent(value / 100) if payload["unit"] == "percent" else usd(value)
    if payload["basis"] == "forecast":
        return gettext("%(level)s by forecast") % {"level": shown}
    return shown


def _foot(payload: Payload, now: datetime) -> str:
    parts = [periods.data_time(instant(payload, "at"), now=now)]
    if through := day(payload, "data_through_on"):
        text = gettext("The forecast knows complete days to %(day)s.")
        parts.append(text % {"day": day_text(through)})
    parts.append(gettext("You are told once per budget period and alert."))
    return " ".join(parts)
