"""What the admin shows of budgets: how each stands, what it covers, what is planned or waits."""

from decimal import Decimal
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.approvals import decisions
from attribution.dashboards.charts import Column, Kind, Table
from attribution.templatetags.tollkeeper import day_text, instant_text, money, percent
from attribution.tenancy.access import OrganizationRequest
from budgets.limits import coverage, filters, raises, standing
from budgets.limits.amounts import LimitVersion, VersionKind
from budgets.limits.models import Budget, PeriodKind, Scope
from budgets.limits.standing import Standing

DASH = "-"
CALENDAR = {
    "starts_on": _("from"),
    "ends_on": _("to before"),
    "start_month": _("from month"),
    "week_start": _("weeks begin on day"),
    "pattern": _("weeks"),
    "anchor": _("from"),
}


def attach(request: OrganizationRequest, budgets: list[Budget]) -> None:
    """Put on each budget how it stands and the name of what it covers."""
    found = standing.standings([budget.pk for budget in budgets], at=timezone.now())
    names = coverage.names(request, {budget.scope for budget in budgets})
    for budget in budgets:
        vars(budget)["standing"] = found.get(budget.pk)
        vars(budget)["covered_name"] = names.get(budget.scope_id, "") if budget.scope_id else ""


def totals(budgets: QuerySet[Budget]) -> Table | None:
    """Return the sums of running periods, by what budgets cover and how often they begin.

    Sums across scopes would count calls twice; across periods they would mean nothing.
    """
    rows = list(budgets.order_by().values_list("pk", "scope", "period"))
    found = standing.standings([row[0] for row in rows], at=timezone.now())
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for budget_id, scope, period in rows:
        if now := found.get(budget_id):
            kept = sums.setdefault((scope, period), [Decimal(0)] * 4)
            figures = (Decimal(1), now.limit, now.actual, now.remaining)
            kept[:] = [one + more for one, more in zip(kept, figures, strict=True)]
    columns = (
        Column("covers", gettext("Covers")),
        Column("period", gettext("Period")),
        Column("budgets", gettext("Budgets"), Kind.COUNT),
        Column("limit", gettext("Limit (USD)"), Kind.MONEY),
        Column("actual", gettext("Spent and uncertain (USD)"), Kind.MONEY),
        Column("remaining", gettext("Remaining (USD)"), Kind.MONEY),
    )
    body: list[tuple[Any, ...]] = [
        (Scope(scope).label, PeriodKind(period).label, int(number), *amounts)
        for (scope, period), (number, *amounts) in sorted(sums.items())
    ]
    return Table(columns, tuple(body)) if body else None


@admin.display(description=_("covers"))
def covered(budget: Budget) -> str:
    """Name what the budget covers."""
    name: str = vars(budget).get("covered_name") or budget.scope_value
    if budget.scope == Scope.COST_CENTER and name:
        return name
    label = budget.get_scope_display()
    return f"{label}: {name}" if name else label


@admin.display(description=_("counts only"))
def counted(budget: Budget) -> str:
    """Say which calls of what it covers a budget counts."""
    chosen = filters.checked(budget.filters)
    return (
        " · ".join(
            f"{coverage.FILTERS[name]}: {', '.join(texts)}" for name, texts in chosen.items()
        )
        or DASH
    )


@admin.display(description=_("period"))
def cut(budget: Budget) -> str:
    """Say how a budget cuts time."""
    facts = [
        f"{CALENDAR[name]} {budget.calendar[name]}" for name in CALENDAR if name in budget.calendar
    ]
    zone = budget.time_zone or gettext("the organization's time zone")
    return " · ".join([budget.get_period_display(), *facts, zone])


@admin.display(description=_("running period"))
def running(budget: Budget) -> str:
    """Show the bounds of the period that runs now."""
    now = _standing(budget)
    if now is None:
        return DASH
    starts, ends = (timezone.localtime(at).date() for at in (now.starts_at, now.ends_at))
    return f"{day_text(starts)} → {day_text(ends)}"


@admin.display(description=_("limit"))
def limit_amount(budget: Budget) -> str:
    """Show the limit of the running period."""
    return _amount(budget, "limit")


@admin.display(description=_("spent"))
def spent(budget: Budget) -> str:
    """Show what settled calls cost."""
    return _amount(budget, "spent")


@admin.display(description=_("held"))
def held(budget: Budget) -> str:
    """Show what open calls keep."""
    return _amount(budget, "held")


@admin.display(description=_("uncertain"))
def uncertain(budget: Budget) -> str:
    """Show what is charged until the truth arrives."""
    return _amount(budget, "uncertain")


@admin.display(description=_("remaining"))
def remaining(budget: Budget) -> str:
    """Show what calls may still hold."""
    return _amount(budget, "remaining")


@admin.display(description=_("used"))
def used(budget: Budget) -> str:
    """Show how much of the limit is charged."""
    now = _standing(budget)
    return str(percent(now.utilisation)) if now else DASH


@admin.display(description=_("planned limits"))
def planned(budget: Budget) -> SafeString | str:
    """Show the limits that begin on a day to come."""
    coming = LimitVersion.objects.filter(budget=budget, effective_at__gt=timezone.now())
    lines = [
        (instant_text(version.effective_at), money(version.amount))
        for version in coming.exclude(kind=VersionKind.ESTIMATE).order_by("effective_at")
    ]
    return format_html_join("", "<div>{}: {} USD</div>", lines) or DASH


@admin.display(description=_("waits for a second person"))
def waiting(budget: Budget) -> SafeString | str:
    """Show the raise that somebody else has to approve."""
    found = [one for one in decisions.waiting_for(budget.pk) if one.kind == raises.LIMIT]
    if not found:
        return DASH
    url = reverse("attribution:approval-show", args=[found[0].pk])
    amount = money(Decimal(found[0].payload["limit"]))
    return format_html('<a href="{}">{} USD</a>', url, amount)


def _standing(budget: Budget) -> Standing | None:
    return cast("Standing | None", vars(budget).get("standing"))


def _amount(budget: Budget, name: str) -> str:
    now = _standing(budget)
    amount: Decimal | None = getattr(now, name) if now else None
    return DASH if amount is None else money(amount)
