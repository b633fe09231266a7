"""The one sentence at the top of the Overview that says what is the matter."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext, ngettext

from attribution.templatetags.tollkeeper import compact, share_text
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
    if share < NEAR:
        return _calm(len(limited), fullest, at)
    facts = {
        "name": fullest.name,
        "spent": compact(fullest.standing.actual),
        "limit": compact(fullest.standing.limit),
        "share": share_text(share),
        "left": _left(fullest, at),
    }
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
