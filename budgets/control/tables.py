"""The tables of the pages of budgets, as files hold them."""

from collections.abc import Sequence

from django.utils.translation import gettext

from attribution.dashboards.charts import Column, Kind, Table
from attribution.exports.sheets import Cell
from budgets.control.lines import Line


def budgets(lines: Sequence[Line]) -> Table:
    """Return budgets with every figure of the page."""
    return Table(
        (
            Column("budget", gettext("Budget")),
            Column("scope", gettext("Scope")),
            Column("covers", gettext("Covers")),
            Column("only_for", gettext("Only for")),
            Column("enforcement", gettext("Enforcement")),
            Column("period", gettext("Period")),
            Column("starts_at", gettext("Starts"), Kind.INSTANT),
            Column("ends_at", gettext("Ends"), Kind.INSTANT),
            Column("state", gettext("State")),
            *(Column(f"{name}_usd", label, Kind.MONEY) for name, label in _amounts()),
            Column("used", gettext("Used"), Kind.PERCENT),
            *(Column(f"forecast_{name}_usd", f"{name} (USD)", Kind.MONEY) for name in QUANTILES),
            Column("exhausted_on", gettext("Used up on"), Kind.DAY),
        ),
        tuple(_row(line) for line in lines),
    )


QUANTILES = ("p10", "p50", "p90")


def _amounts() -> list[tuple[str, str]]:
    return [
        ("limit", gettext("Limit (USD)")),
        ("spent", gettext("Spent (USD)")),
        ("held", gettext("Held (USD)")),
        ("uncertain", gettext("Uncertain (USD)")),
        ("remaining", gettext("Remaining (USD)")),
    ]


def _row(line: Line) -> tuple[Cell, ...]:
    budget, now, expected = line.budget, line.standing, line.outlook
    return (
        *(budget.name, budget.scope, line.place, ", ".join(line.filters)),
        *(now.enforcement if now else budget.enforcement, budget.period),
        *(now.starts_at if now else None, now.ends_at if now else None, line.state),
        *(getattr(now, name) if now else None for name, _label in _amounts()),
        line.share,
        *(getattr(expected, name) if expected else None for name in QUANTILES),
        expected.exhausted_on if expected else None,
    )
