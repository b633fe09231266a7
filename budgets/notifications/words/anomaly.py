"""Words about unusual spend."""

from datetime import datetime

from django.utils.translation import gettext

from attribution.insights import words
from attribution.templatetags.tollkeeper import decimal, instant_text
from budgets.notifications.words import periods
from budgets.notifications.words.message import (
    ZERO,
    Message,
    Payload,
    amount,
    instant,
    places,
    plain,
    usd,
)


def found(payload: Payload, *, now: datetime) -> Message:
    """Tell that spend was far from what was expected, by how much and why."""
    impact, actual, expected = (amount(payload, n) for n in ("impact", "actual", "expected"))
    like = max(abs(actual), abs(expected))
    names = {
        "center": payload["cost_center"] or gettext("not attributed"),
        "model": payload["model"],
        "impact": decimal(abs(impact), places=places(like)),
        "actual": decimal(actual, places=places(like)),
        "expected": decimal(expected, places=places(like)),
    }
    return Message(
        level="warn" if impact > ZERO else "info",
        subject=plain(_subject(names, is_more=impact > ZERO)),
        decision=gettext("Look whether this is meant. If it is, mark it as expected."),
        fact=gettext(
            "%(center)s spent %(actual)s USD on %(model)s where %(expected)s USD were expected."
        )
        % names,
        button=gettext("Open the anomalies"),
        path=payload["path"],
        foot=periods.data_time(instant(payload, "at"), now=now),
        rows=_rows(payload),
    )


def _subject(names: dict[str, str], *, is_more: bool) -> str:
    if is_more:
        # Translators: subject of an e-mail: RND: 160 USD more than expected on gpt-4.1
        return gettext("%(center)s: %(impact)s USD more than expected on %(model)s") % names
    return gettext("%(center)s: %(impact)s USD less than expected on %(model)s") % names


def _rows(payload: Payload) -> tuple[tuple[str, str], ...]:
    rows = [
        (gettext("From"), instant_text(instant(payload, "starts_at"))),
        (gettext("Until"), instant_text(instant(payload, "ends_at"))),
        (gettext("API key"), payload["api_key"]),
    ]
    labels = {
        "volume": gettext("Because of more or fewer calls"),
        "intensity": gettext("Because of tokens per call"),
        "mix": gettext("Because of the mix of models and token classes"),
        "price": gettext("Because of prices"),
    }
    for name, label in labels.items():
        if (payload.get("reason") or {}).get(name) not in {None, "", "0"}:
            rows.append((label, usd(amount(payload["reason"], name))))
    rows += [(label, name) for label, name in _named(payload)]
    return tuple((label, value) for label, value in rows if value)


def _named(payload: Payload) -> list[tuple[str, str]]:
    """Say who made most of it: the first of API key, prompt and feature."""
    return [
        (
            gettext("Most of it"),
            f"{words.DIMENSIONS[one['dimension']]} {one['name'] or one['value']}",
        )
        for one in (payload.get("named") or [])[:1]
    ]
