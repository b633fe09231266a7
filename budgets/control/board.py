"""Everything that the list and the tree of budgets show, in one value that their template reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext, ngettext

from attribution.templatetags.tollkeeper import day_text, decimal, share_text
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest
from budgets.alerts import states
from budgets.control import lines as reading
from budgets.control import tree
from budgets.control.asked import TREE, Asked
from budgets.control.lines import WORDS, Line
from budgets.control.structure import Structure
from budgets.limits import nesting
from budgets.limits.models import Enforcement, Scope

PAGE = 50
WARNINGS = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """What is looked at: the organization's shape, what was asked for, when, and what was found."""

    structure: Structure
    asked: Asked
    at: datetime
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column: a link that sorts by it."""

    label: str
    url: str
    direction: str  # ascending | descending | ""
    is_number: bool


def build(request: OrganizationRequest, scene: Scene) -> dict[str, Any]:
    """Return what the template shows."""
    asked, query = scene.asked, request.GET
    is_tree, is_engineer = asked.view == TREE, access.role_of(request) == roles.ENGINEER
    pages = max(1, -(-len(scene.lines) // PAGE))
    page = min(asked.page, pages)
    shown = scene.lines[(page - 1) * PAGE : page * PAGE]
    organization = request.organization.name
    return {
        "asked": asked,
        "at": scene.at,
        "warnings": [] if is_engineer else warnings(scene.lines, at=scene.at)[:WARNINGS],
        "finding": finding(scene.lines, at=scene.at),
        "lines": [] if is_tree else shown,
        "branches": tree.of(scene.lines, scene.structure, name=organization) if is_tree else [],
        "is_tree": is_tree,
        "count": len(scene.lines),
        "total": reading.added(scene.lines, scene.structure),
        "headings": headings(asked, query),
        "views": [
            _view(query, "list", gettext("List"), asked),
            _view(query, TREE, gettext("Tree"), asked),
        ],
        "previous_url": changed(query, page=str(page - 1)) if page > 1 else "",
        "next_url": changed(query, page=str(page + 1)) if page < pages else "",
        "csv_url": f"{reverse('budgets:budget-download')}?{query.urlencode()}",
        "add_url": _add_url(request),
        "is_engineer": is_engineer,
        **_choices(scene),
    }


def finding(lines: Sequence[Line], *, at: datetime) -> str:
    """Say in one sentence which budget needs a look, or that none does."""
    running = [line for line in lines if line.standing]
    if not running:
        return ""
    worst = max(running, key=lambda line: (reading.RANKS[line.state], _share(line)))
    facts = {
        "name": worst.budget.name,
        "share": share_text(_share(worst)),
        "limit": decimal(worst.standing.limit, places=2) if worst.standing else "",
        "left": _left(worst.days_left(at)),
    }
    if worst.state == states.OK:
        text = ngettext(
            "%(count)s budget is fine: %(name)s has used %(share)s of %(limit)s USD, with %(left)s.",
            "All %(count)s budgets are fine; %(name)s leads with %(share)s of %(limit)s USD, with %(left)s.",
            len(running),
        )
        return text % {**facts, "count": len(running)}
    needy = sum(line.state != states.OK for line in running)
    text = ngettext(
        "%(needy)s of %(count)s budgets needs a look: %(name)s has used %(share)s of %(limit)s USD, with %(left)s.",
        "%(needy)s of %(count)s budgets need a look: %(name)s has used %(share)s of %(limit)s USD, with %(left)s.",
        needy,
    )
    return text % {**facts, "needy": needy, "count": len(running)}


def finding_of(line: Line, *, at: datetime) -> str:
    """Say in one sentence how one budget stands and what is expected."""
    now, outlook = line.standing, line.outlook
    if now is None or outlook is None:
        return ""
    facts = {
        "name": line.budget.name,
        "share": share_text(_share(line)),
        "limit": decimal(now.limit, places=2),
        "left": _left(line.days_left(at)),
    }
    text = gettext("%(name)s has used %(share)s of %(limit)s USD, with %(left)s.") % facts
    variance, apart = outlook.variance, outlook.variance_share
    if outlook.p50 is None or variance is None or apart is None:
        return text
    words = (
        gettext("The forecast is %(amount)s USD, %(share)s over.")
        if variance > 0
        else gettext("The forecast is %(amount)s USD, %(share)s under.")
    )
    facts = {"amount": decimal(outlook.p50, places=2), "share": share_text(abs(apart))}
    return f"{text} {words % facts}"


def warnings(lines: Sequence[Line], *, at: datetime) -> list[str]:
    """Say where limits inside allow more than what they lie in, as far as all of it is shown."""
    shown = {line.budget.pk for line in lines}
    told: dict[str, None] = {}
    for budget_id, excesses in nesting.everywhere(at).items():
        for excess in excesses:
            inside = {excess.parent.pk, *(child.pk for child in excess.children)}
            if budget_id in shown and inside <= shown:
                amounts = (decimal(excess.amount, places=2), decimal(excess.limit, places=2))
                told[excess.text(amounts)] = None
    return list(told)


def headings(asked: Asked, query: QueryDict) -> list[Heading]:
    """Return the heads of the sortable columns; a click on the current one turns the order."""
    columns = [
        ("name", gettext("Budget"), False),
        ("state", gettext("State"), False),
        ("used", gettext("Used"), True),
        ("limit", gettext("Limit"), True),
        ("spent", gettext("Spent"), True),
        ("", gettext("Held"), True),
        ("", gettext("Uncertain"), True),
        ("remaining", gettext("Remaining"), True),
        ("forecast", gettext("Forecast"), True),
        ("out", gettext("Used up on"), False),
    ]
    return [_heading(asked, query, *column) for column in columns]


def changed(query: QueryDict, **values: str) -> str:
    """Return the address of this page with some parameters changed; an empty one is dropped."""
    parameters = query.copy()
    for name, value in values.items():
        parameters.pop(name, None)
        if value:
            parameters[name] = value
    return f"?{parameters.urlencode()}"


def _heading(
    asked: Asked,
    query: QueryDict,
    name: str,
    label: str,
    is_number: bool,  # noqa: FBT001
) -> Heading:
    if not name:
        return Heading(label, "", "", is_number)
    current = asked.sort.removeprefix("-") == name
    is_falling = asked.sort.startswith("-")
    falls_first = name not in {"name", "out"}
    turned = (not is_falling) if current else falls_first
    url = changed(query, sort=f"{'-' if turned else ''}{name}", page="")
    direction = ("descending" if is_falling else "ascending") if current else ""
    return Heading(label, url, direction, is_number)


def _view(query: QueryDict, name: str, label: str, asked: Asked) -> dict[str, Any]:
    url = changed(query, view="" if name == "list" else name, page="")
    return {"label": label, "url": url, "is_current": asked.view == name}


def _choices(scene: Scene) -> dict[str, Any]:
    """Return what the filters offer."""
    asked, shape = scene.asked, scene.structure
    departments = [(str(pk), row.name) for pk, row in shape.departments.items()]
    return {
        "scopes": _options(Scope.choices, asked.scope),
        "enforcements": _options(Enforcement.choices, asked.enforcement),
        "states": _options(WORDS.items(), asked.state),
        "departments": _options(departments, str(asked.department_id or "")),
        "centers": [
            {"code": row.code, "name": row.name, "is_chosen": row.code in asked.centers}
            for row in shape.centers.values()
        ],
        "day": day_text(asked.on) if asked.on else "",
    }


def _options(choices: Any, chosen: str) -> list[tuple[str, str, bool]]:
    return [(str(value), str(label), str(value) == chosen) for value, label in choices]


def _add_url(request: OrganizationRequest) -> str:
    name = "admin:budgets_budget_add"
    return reverse(name) if access.may(request, "POST", name) else ""


def _share(line: Line) -> Decimal:
    return Decimal(1) if line.share is None else line.share


def _left(days: int) -> str:
    return ngettext("%(days)s day left", "%(days)s days left", days) % {"days": days}
