"""The one sentence at the top of the Overview that says what is the matter."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext, ngettext

from attribution.templatetags.tollkeeper import compact, day_text, share_text
from budgets.overview.gauges import FULL, NEAR, Gauge


def sentence(gauges: Sequence[Gauge], *, month: str, spent: Decimal, at: datetime) -> str:
    """Say which budget needs a look, or that none does; `month` and `spent` when there is none."""
    limited = [g for g in gauges if g.share is not None]
    if not limited:
        return gettext("%(amount)s USD spent in %(month)s; no budget limits it yet.") % {
            "amount": compact(spent),
            "month": month,
        }
    fullest = max(limited, key=lambda g: g.share or Decimal(0))
    share = fullest.share or Decimal(0)
    if share < NEAR and (worst := _worst(limited)):
        return _foreseen(worst)
    if share < NEAR:
        return _calm(len(limited), fullest, at)
    facts = {
        "name": fullest.name,
        "spent": compact(fullest.standing.actual),
        "limit": compact(fullest.standing.limit),
        "share": share_text(share),
        "left": _left(fullest, at),
    }
    if share < FULL and (ahead := _ahead(fullest)):
        text = gettext(
            "%(name)s has used %(share)s of %(limit)s USD, with %(left)s; forecast %(ahead)s."
        )
        return text % {**facts, "ahead": ahead}
    if share >= FULL:
        return gettext("%(name)s is used up: %(spent)s of %(limit)s USD, with %(left)s.") % facts
    return gettext("%(name)s has used %(share)s of %(limit)s USD, with %(left)s.") % facts


def _calm(budgets: int, fullest: Gauge, at: datetime) -> str:
    text = ngettext(
        "%(count)s budget runs, below 80 %%: %(name)s has used %(share)s, with %(left)s.",
        "All %(count)s budgets are below 80 %%; %(name)s leads with %(share)s, with %(left)s.",
        budgets,
    )
    return text % {
        "count": budgets,
        "name": fullest.name,
        "share": share_text(fullest.share or Decimal(0)),
        "left": _left(fullest, at),
    }


def _left(gauge: Gauge, at: datetime) -> str:
    days = gauge.days_left(at)
    return ngettext("%(days)s day left", "%(days)s days left", days) % {"days": days}


def _worst(gauges: Sequence[Gauge]) -> Gauge | None:
    """Return the budget whose forecast passes its limit by the largest share, if one does."""
    over = [(share, g) for g in gauges if g.forecast and (share := _over(g)) > 0]
    return max(over, key=lambda pair: pair[0])[1] if over else None


def _foreseen(gauge: Gauge) -> str:
    text = gettext("%(name)s has used %(share)s of %(limit)s USD; forecast %(ahead)s.")
    return text % {
        "name": gauge.name,
        "share": share_text(gauge.share or Decimal(0)),
        "limit": compact(gauge.standing.limit),
        "ahead": _ahead(gauge),
    }


def _ahead(gauge: Gauge) -> str:
    """Say what the period will cost, by how much that is over, and when it is used up."""
    forecast = gauge.forecast
    if forecast is None or forecast.p50 is None:
        return ""
    over = _over(gauge)
    facts = {"amount": compact(forecast.p50), "over": share_text(over)}
    if over <= 0:
        return gettext("%(amount)s USD") % facts
    if forecast.exhausted_on is None:
        return gettext("%(amount)s USD, %(over)s over") % facts
    facts["day"] = day_text(forecast.exhausted_on)
    return gettext("%(amount)s USD, %(over)s over, used up on %(day)s") % facts


def _over(gauge: Gauge) -> Decimal:
    share = gauge.forecast.variance_share if gauge.forecast else None
    return share.quantize(Decimal("0.001")) if share is not None else Decimal(0)
