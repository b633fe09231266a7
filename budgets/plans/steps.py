"""What a plan does with each budget: made from the rows of a sheet, compared with what runs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from django.utils.translation import gettext

from attribution.imports.workbooks import Line, letters
from budgets.limits.models import Budget, Scope
from budgets.plans.amounts import CellError
from budgets.plans.facts import Known, covered_id, facts_of
from budgets.plans.fields import BY_NAME, COLUMNS, NOTE, REQUIRED, USUAL, Facts, text

EXAMPLE = "# example"  # a row of the template that says how to write one


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    REVISE = "revise"
    UNCHANGED = "unchanged"
    ERROR = "error"


class HeadingError(ValueError):
    """A file whose first row does not name the columns; its text says what is wrong, in words."""

    code = "invalid_heading"


@dataclass(slots=True)
class Problem:
    """A cell that cannot be taken, and why, in words."""

    cell: str
    reason: str


@dataclass(slots=True)
class Step:
    """One row: what it makes of its budget, and how that stood when this was worked out."""

    line: int
    action: Action
    name: str
    budget_id: str = ""
    before: Facts | None = None
    after: Facts = field(default_factory=dict)
    reason: str = ""
    begins_at: str = ""  # when another limit begins to act, as ISO 8601; empty: at once
    problems: list[Problem] = field(default_factory=list)

    @property
    def changed(self) -> list[tuple[str, str, str]]:
        """Return the columns that change, with what stood there and what will."""
        if self.before is None:
            return []
        return [
            (name, self.before[name], self.after[name])
            for name in BY_NAME
            if self.before[name] != self.after[name]
        ]

    def as_dict(self) -> dict[str, Any]:
        """Write the step as it is kept."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """Read a kept step."""
        problems = [Problem(**one) for one in kept["problems"]]
        return cls(**{**kept, "action": Action(kept["action"]), "problems": problems})


def steps(lines: Sequence[Line], names: Known) -> list[Step]:
    """Return what every row of a sheet would do; nothing is written."""
    if not lines:
        raise HeadingError(gettext("The file is empty."))
    columns = heading(lines[0])
    rows = [line for line in lines[1:] if not _is_example(line, columns)]
    read = [_read(line, columns) for line in rows]
    found = current([step.name for step in read], names)
    _refuse_repeats(read, columns)
    for step in read:
        _settle(step, columns, found.get(step.name), names)
    return read


def current(wanted: Iterable[str], names: Known) -> dict[str, tuple[Budget, Facts]]:
    """Return the running budgets of some names, with the rows that a sheet has for them."""
    budgets = list(Budget.objects.filter(archived_at=None, name__in=list(wanted)))
    facts = facts_of(budgets, names)
    return {budget.name: (budget, facts[budget.pk]) for budget in budgets}


def heading(line: Line) -> dict[str, int]:
    """Return which column stands where; refuse unknown, missing and repeated ones."""
    named = {
        at: str(value).strip().lower().replace(" ", "_").lstrip("\ufeff")
        for at, value in line.cells.items()
    }
    unknown = [f"{letters(at)}{line.number} “{n}”" for at, n in named.items() if n not in COLUMNS]
    if unknown:
        told = {"unknown": ", ".join(unknown[:5]), "known": ", ".join(COLUMNS)}
        raise HeadingError(gettext("Unknown column: %(unknown)s. Known are: %(known)s.") % told)
    if missing := [name for name in REQUIRED if name not in named.values()]:
        raise HeadingError(gettext("The column %(name)s is missing.") % {"name": missing[0]})
    twice = [name for name, number in Counter(named.values()).items() if number > 1]
    if twice:
        raise HeadingError(gettext("The column %(name)s stands there twice.") % {"name": twice[0]})
    return {name: at for at, name in named.items()}


def _is_example(line: Line, columns: Mapping[str, int]) -> bool:
    return str(line.cells.get(columns["name"], "")).lower().startswith(EXAMPLE)


def _read(line: Line, columns: Mapping[str, int]) -> Step:
    """Read the cells of a row; what is empty stays empty, what is no column of the file is absent."""
    step = Step(line.number, Action.UNCHANGED, "")
    for name, at in columns.items():
        value = line.cells.get(at, "")
        try:
            if name == NOTE:
                step.reason = text(value, most=200)
            elif value != "":
                step.after[name] = BY_NAME[name].read(value)
            else:
                step.after[name] = ""
        except CellError as error:
            step.problems.append(Problem(f"{letters(at)}{line.number}", str(error)))
    step.name = step.after.get("name", "")
    for name in REQUIRED:
        if not step.after.get(name, "?"):
            step.problems.append(_problem(step, columns, name, gettext("The cell is empty.")))
    return step


def _refuse_repeats(read: Iterable[Step], columns: Mapping[str, int]) -> None:
    first: dict[str, int] = {}
    for step in read:
        if step.name and first.setdefault(step.name, step.line) != step.line:
            told = {"name": step.name, "line": first[step.name]}
            reason = gettext("“%(name)s” stands in row %(line)s already.") % told
            step.problems.append(_problem(step, columns, "name", reason))


def _settle(
    step: Step, columns: Mapping[str, int], found: tuple[Budget, Facts] | None, names: Known
) -> None:
    """Say what a row does to the budget that runs, or that there is none yet."""
    if found is None:
        filled = {name: value for name, value in step.after.items() if value}
        step.after = {**USUAL, **filled}
        step.action = Action.CREATE
        _check_new(step, columns, names)
    else:
        budget, step.before = found
        step.budget_id = str(budget.pk)
        step.after = {**step.before, **_filled(step.after, step.before)}
        step.action = Action.REVISE if step.changed else Action.UNCHANGED
        _check_fixed(step, columns)
    _check_people(step, columns, names)
    if step.problems:
        step.action = Action.ERROR


def _filled(read: Facts, before: Facts) -> Facts:
    """Return what a row says of a budget that runs: an empty cell clears what may change."""
    usual = {name: before[name] if BY_NAME[name].is_fixed else USUAL[name] for name in read}
    return {name: value or usual[name] for name, value in read.items()}


def _check_new(step: Step, columns: Mapping[str, int], names: Known) -> None:
    facts = step.after
    told = {"name": facts["covered"], "scope": facts["covers"]}
    reason, column = "", "covered"
    if not facts["covers"] and not any(p.cell for p in step.problems):
        reason, column = gettext("Say what the budget covers."), "covers"
    elif facts["covers"] == Scope.ORGANIZATION and facts["covered"]:
        reason = gettext("The whole organization has no name here: leave the cell empty.")
    elif facts["covers"] not in {"", Scope.ORGANIZATION} and not facts["covered"]:
        reason = gettext("Name what the budget covers.")
    elif facts["covered"] in names.twice.get(facts["covers"], ()):
        reason = gettext("“%(name)s” is the name of several: write the id.") % told
    elif _is_unknown(facts, names):
        reason = gettext("There is no %(scope)s “%(name)s”.") % {
            **told,
            "scope": Scope(facts["covers"]).label,
        }
    if reason:
        step.problems.append(_problem(step, columns, column, reason))
    _check_time(step, columns)


def _is_unknown(facts: Facts, names: Known) -> bool:
    if facts["covers"] in {"", Scope.ORGANIZATION, Scope.USER}:
        return False
    return covered_id(facts, names) not in names.ids.get(facts["covers"], ())


def _check_time(step: Step, columns: Mapping[str, int]) -> None:
    facts = step.after
    first, end = facts["starts_on"], facts["ends_on"]
    if facts["period"] == "custom" and not (first and end and first < end):
        reason = gettext("A custom period needs a first day before its end.")
        step.problems.append(_problem(step, columns, "ends_on", reason))
    if facts["pattern"] and not facts["anchor"]:
        reason = gettext("A calendar of weeks needs the first day of a fiscal year.")
        step.problems.append(_problem(step, columns, "anchor", reason))


def _check_fixed(step: Step, columns: Mapping[str, int]) -> None:
    for name, before, _after in step.changed:
        if BY_NAME[name].is_fixed:
            reason = gettext(
                "It is “%(before)s” and stays so: archive the budget and add another one."
            ) % {"before": before}
            step.problems.append(_problem(step, columns, name, reason))


def _check_people(step: Step, columns: Mapping[str, int], names: Known) -> None:
    for name in ("owner", "approver"):
        address = step.after.get(name, "")
        if address and address not in names.people and address != (step.before or {}).get(name):
            reason = gettext("“%(address)s” is nobody of this organization.") % {"address": address}
            step.problems.append(_problem(step, columns, name, reason))


def _problem(step: Step, columns: Mapping[str, int], name: str, reason: str) -> Problem:
    place = f"{letters(columns[name])}{step.line}" if name in columns else name
    return Problem(place, reason)


def totals(planned: Iterable[Step]) -> dict[tuple[str, str], tuple[int, Decimal, int, Decimal]]:
    """Return count and limits of the budgets before and after, by what they cover and how often."""
    found: dict[tuple[str, str], tuple[int, Decimal, int, Decimal]] = {}
    for step in planned:
        if step.action is Action.ERROR:
            continue
        key = step.after["covers"], step.after["period"]
        was, old, now, new = found.get(key, (0, Decimal(0), 0, Decimal(0)))
        if step.before is not None:
            was, old = was + 1, old + Decimal(step.before["limit_usd"] or 0)
        found[key] = was, old, now + 1, new + Decimal(step.after["limit_usd"])
    return found
