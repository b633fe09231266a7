"""What leaves as a file comes back and changes nothing."""

from attribution.imports import workbooks
from budgets.limits.models import Budget
from budgets.plans import facts, sheets, steps
from budgets.plans.fields import COLUMNS
from budgets.plans.steps import Action
from tests.budgets.plans.planning import applied, names
from tests.cast import Cast
from tests.factories import make_budget, make_department

WHOLE = {
    "name": "=SUM(A1) - Coûts; 数",
    "covers": "department",
    "covered": "@ops",
    "period": "fiscal",
    "pattern": "4-4-5",
    "anchor": "2026-01-05",
    "time_zone": "Asia/Shanghai",
    "limit_usd": "1234.567891",
    "enforcement": "block",
    "wait_ms": "0",
    "shorten": "yes",
    "carry": "carry_net",
    "carry_at_most": "500 USD",
    "thresholds": "50%; 500 USD; forecast p90 100%; burn 3x/24h",
    "models": "=x; gpt-5",
    "providers": "openai",
    "features": "chat, long",
    "environments": "prod",
}


def everything(cast: Cast) -> list[dict[str, str]]:
    """Make budgets with every kind of content and return their rows."""
    make_department(name="@ops")
    address = cast.person("owner").email
    applied(cast, {**WHOLE, "owner": address, "approver": address})
    days = {"starts_on": "2026-01-01", "ends_on": "2027-01-01"}
    make_budget(name="Custom", limit="0", period="custom", calendar=days, thresholds=[])
    make_budget(name="One user", limit="5", scope="user", scope_value="-ana", period="week")
    rows = facts.facts_of(Budget.objects.order_by("name"), names())
    return list(rows.values())


def test_an_export_that_is_imported_changes_nothing(here: Cast) -> None:
    rows = everything(here)

    for content in (sheets.as_xlsx(rows), sheets.as_csv(rows).encode()):
        read = steps.steps(workbooks.read(content).lines, names())
        assert [(step.action, step.problems, step.changed) for step in read] == [
            (Action.UNCHANGED, [], [])
        ] * len(rows)


def test_a_file_that_a_spreadsheet_saved_in_another_encoding_changes_nothing(here: Cast) -> None:
    rows = everything(here)
    text = sheets.as_csv(rows).removeprefix(sheets.BOM)

    for encoding, fallback in (("gb18030", "gb18030"), ("utf-16", "cp1252")):
        read = steps.steps(workbooks.read(text.encode(encoding), fallback=fallback).lines, names())
        assert {step.action for step in read} == {Action.UNCHANGED}


def test_no_cell_of_a_file_is_a_formula(here: Cast) -> None:
    rows = everything(here)

    assert "\r\n=SUM" not in sheets.as_csv(rows)
    table = workbooks.read(sheets.as_xlsx(rows))
    cells = [value for line in table.lines for value in line.cells.values()]
    assert not [cell for cell in cells if str(cell).startswith(("=", "@", "+"))]


def test_the_template_explains_itself_with_an_example_that_is_no_budget(here: Cast) -> None:
    table = workbooks.read(sheets.as_xlsx([], has_example=True))

    assert list(table.lines[0].cells.values()) == list(COLUMNS)
    assert str(table.lines[1].cells[0]).startswith("# example")
    assert steps.steps(table.lines, names()) == []
