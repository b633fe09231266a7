"""The tables of a re-rating's preview, and the list of calls without a cost as a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from attribution.dashboards.charts import Column, Kind, Table
from attribution.templatetags.tollkeeper import count, day_text, month_text
from budgets.reservations.corrections import Figures, Place, Preview
from budgets.reservations.unpriced import Unpriced


@dataclass(frozen=True, slots=True)
class Titled:
    """A table, what it is about, and its name in addresses."""

    name: str
    title: str
    table: Table


def tables(found: Preview) -> list[Titled]:
    """Return old and new cost by month, budget period and cost center."""
    months = [(month_text(month), row) for month, row in sorted(found.by_month.items())]
    periods = [
        (gettext("%(budget)s, from %(day)s") % {"budget": place.name, "day": _day(place)}, row)
        for place, row in sorted(found.by_period.items())
    ]
    centers = [
        (code or gettext("not attributed"), row)
        for code, row in sorted(found.by_cost_center.items())
    ]
    shown = [
        ("month", gettext("By month"), gettext("Month (UTC)"), months),
        ("period", gettext("By budget period"), gettext("Budget period"), periods),
        ("cost_center", gettext("By cost center"), gettext("Cost center"), centers),
    ]
    return [Titled(name, title, _table(head, rows)) for name, title, head, rows in shown]


def unpriced_table(groups: Iterable[Unpriced], upstreams: Mapping[UUID, str]) -> Table:
    """Return the calls without a cost, and what would give them one, as a file has them."""
    return Table(
        (
            Column("model", gettext("Model")),
            Column("provider", gettext("Provider")),
            Column("upstream", gettext("Upstream")),
            Column("calls", gettext("Calls"), Kind.COUNT),
            Column("input_tokens", gettext("Input tokens"), Kind.COUNT),
            Column("output_tokens", gettext("Output tokens"), Kind.COUNT),
            Column("first_at", gettext("First seen"), Kind.INSTANT),
            Column("last_at", gettext("Last seen"), Kind.INSTANT),
            Column("remedy", gettext("What helps")),
        ),
        tuple(
            (
                *(g.model, g.provider, upstreams.get(g.upstream_id, "") if g.upstream_id else ""),
                *(g.calls, g.input_tokens, g.output_tokens, g.first_at, g.last_at, g.remedy.value),
            )
            for g in groups
        ),
    )


def kept(found: Preview) -> list[str]:
    """Return in words which calls stay as they are, and why."""
    return [_kept(reason, calls) for reason, calls in sorted(found.kept.items())]


def _table(name: str, rows: Iterable[tuple[str, Figures]]) -> Table:
    return Table(
        (
            Column("name", name),
            Column("calls", gettext("Calls"), Kind.COUNT),
            Column("unpriced", gettext("Unpriced"), Kind.COUNT),
            Column("tokens", gettext("Tokens"), Kind.COUNT),
            Column("was_usd", gettext("Old cost (USD)"), Kind.MONEY),
            Column("cost_usd", gettext("New cost (USD)"), Kind.MONEY),
            Column("difference_usd", gettext("Difference (USD)"), Kind.MONEY),
        ),
        tuple(
            (title, row.calls, row.unpriced, row.tokens, row.was, row.cost, row.delta)
            for title, row in rows
        ),
    )


def _day(place: Place) -> str:
    """Return the day on which a budget period begins, in the zone of the organization."""
    return day_text(timezone.localtime(place.starts_at))


def _kept(reason: str, calls: int) -> str:
    facts = {"calls": count(calls)}
    texts = {
        "unchanged": ngettext(
            "%(calls)s call has the cost that it should have.",
            "%(calls)s calls have the cost that they should have.",
            calls,
        ),
        "no price": ngettext(
            "%(calls)s call has no price still: set one first.",
            "%(calls)s calls have no price still: set one first.",
            calls,
        ),
        "shut month": ngettext(
            "%(calls)s call stands in a month that is reconciled or closed.",
            "%(calls)s calls stand in months that are reconciled or closed.",
            calls,
        ),
        "unpriceable": ngettext(
            "%(calls)s call holds what no price per token covers.",
            "%(calls)s calls hold what no price per token covers.",
            calls,
        ),
        "other terms": ngettext(
            "%(calls)s call was booked at other terms than its price: it stays.",
            "%(calls)s calls were booked at other terms than their price: they stay.",
            calls,
        ),
    }
    return texts[reason] % facts
