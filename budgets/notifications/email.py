"""Writes e-mails: the fact in the subject, one bar, one button, in the language of the reader."""

import zoneinfo
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext, pgettext

from attribution import calendar
from attribution.isolation.transaction import required
from attribution.templatetags.tollkeeper import (
    day_text,
    decimal,
    instant_text,
    month_text,
    share_text,
)
from attribution.tenancy.models import CostCenter, Organization, User
from budgets.alerts.models import Alert
from budgets.limits.models import BudgetPeriod, Enforcement, PeriodKind, Scope
from budgets.notifications.models import Notification

NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an alert tells, in figures as they were when it was raised."""

    alert: Alert
    period: BudgetPeriod
    organization: Organization

    @property
    def share(self) -> Decimal:
        """Return actual by limit, rounded down: what is not used up does not read as used up."""
        if not self.alert.limit_at:
            return Decimal(1)
        share = self.alert.actual_at / self.alert.limit_at
        return share.quantize(Decimal("0.01"), ROUND_DOWN) if share >= Decimal("0.1") else share

    @property
    def places(self) -> int:
        """Return the decimals that amounts of this size are shown with."""
        if self.alert.limit_at >= 100:
            return 0
        return 2 if self.alert.limit_at >= 1 else 6


def compose(owed: Notification) -> EmailMultiAlternatives:
    """Write one message that is owed; reads within the caller's tenant transaction."""
    alert = Alert.objects.select_related("budget_period__budget").get(pk=owed.payload["alert_id"])
    organization = Organization.objects.get(pk=required())
    facts = Facts(alert, alert.budget_period, organization)
    reader = User.objects.filter(email=owed.recipient).first()
    language = (reader.language if reader else "") or organization.locale
    zone = zoneinfo.ZoneInfo(organization.time_zone)
    with translation.override(language), timezone.override(zone):
        context = _context(facts)
        message = EmailMultiAlternatives(
            subject=context["subject"],
            body=render_to_string("email/budget_threshold.txt", context),
            to=[owed.recipient],
            headers={"Message-ID": message_id(owed), "Auto-Submitted": "auto-generated"},
        )
        message.attach_alternative(
            render_to_string("email/budget_threshold.html", context), "text/html"
        )
    return message


def message_id(owed: Notification) -> str:
    """Return the id of a message: the same at every attempt, so that receivers may drop repeats."""
    host = urlsplit(settings.TOLLKEEPER_URL).hostname or "localhost"
    return f"<{owed.pk}@{host}>"


def _context(facts: Facts) -> dict[str, Any]:
    budget, alert = facts.period.budget, facts.alert
    amounts = {
        "name": budget.name,
        "share": share_text(facts.share),
        "period": period_text(facts.period),
        "actual": decimal(alert.actual_at, places=facts.places),
        "limit": decimal(alert.limit_at, places=facts.places),
    }
    filled = min(100, int(facts.share * 100))
    return {
        **amounts,
        "language": translation.get_language() or "en",
        "subject": _subject(amounts),
        "decision": _decision(facts),
        "threshold": _threshold(alert),
        "remaining": decimal(
            max(Decimal(0), alert.limit_at - alert.actual_at), places=facts.places
        ),
        "data_time": instant_text(alert.crossed_at),
        "zone": facts.organization.time_zone,
        "ends": day_text(calendar.local_day(facts.period.ends_at, timezone.get_current_timezone())),
        "organization": facts.organization.name,
        "filled": filled,
        "empty": 100 - filled,
        "is_full": facts.share >= 1,
        "link": _link(facts),
    }


def _subject(amounts: dict[str, str]) -> str:
    # Translators: subject of an e-mail: RND: 80 % of November budget used (1,604 of 2,000 USD)
    text = gettext("%(name)s: %(share)s of %(period)s budget used (%(actual)s of %(limit)s USD)")
    return (text % amounts).replace(NO_BREAK, " ")  # plain letters need no encoding


def period_text(period: BudgetPeriod) -> str:
    """Name a budget period as people do: November, Q4 2026, 22 Nov 2026, or its two days."""
    zone = zoneinfo.ZoneInfo(period.budget.time_zone or timezone.get_current_timezone_name())
    first = calendar.local_day(period.starts_at, zone)
    kind = period.budget.period
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
    last = calendar.local_day(period.ends_at, zone)
    return f"{day_text(first)} – {day_text(last)}"  # noqa: RUF001 -- a range in print


def _decision(facts: Facts) -> str:
    """Say what there is to decide: raise the limit, or let the calls be refused or go on."""
    is_full = facts.share >= 1
    if facts.period.enforcement in {Enforcement.BLOCK, Enforcement.ELASTIC}:
        if is_full:
            return gettext("Calls are refused until you raise this budget or its period ends.")
        return gettext("Calls will be refused when it is used up: raise it, or spend less.")
    if is_full:
        return gettext("Calls go on: this budget warns and does not block. Raise it, or block.")
    return gettext("Nothing is blocked. Decide now whether this budget is to be raised.")


def _threshold(alert: Alert) -> str:
    value = alert.threshold.normalize()
    if alert.unit == "percent":
        return share_text(value / 100)
    return gettext("%(amount)s USD") % {"amount": decimal(value, places=2)}


def _link(facts: Facts) -> str:
    """Return the address of the overview, narrowed to what the budget covers where it can be."""
    chosen = {"range": "month"}
    budget = facts.period.budget
    if budget.scope == Scope.COST_CENTER:
        center = CostCenter.objects.filter(pk=budget.scope_id).first()
        chosen |= {"cost_center": center.code} if center else {}
    return f"{settings.TOLLKEEPER_URL}{reverse('budgets:overview-show')}?{urlencode(chosen)}"
