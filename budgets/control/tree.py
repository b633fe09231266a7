"""Budgets where they lie: the organization, its departments, their cost centers, their keys; then users."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext

from budgets.control.lines import Line
from budgets.control.structure import Structure
from budgets.limits.models import Scope

Node = tuple[str, UUID | str | None]
TOP: Node = (Scope.ORGANIZATION, None)
DEEPEST = 6  # deeper places are drawn at this depth


@dataclass(frozen=True, slots=True)
class Branch:
    """A row of the tree: a budget, or a place that only holds others."""

    depth: int
    title: str
    scope_name: str
    line: Line | None = None

    @property
    def level(self) -> int:
        """Return the depth as assistive technology counts it."""
        return self.depth + 1


def of(lines: Iterable[Line], structure: Structure, *, name: str) -> list[Branch]:
    """Return the rows of the tree from the top; `name` is the organization's."""
    by_node: dict[Node, list[Line]] = defaultdict(list)
    children: dict[Node, set[Node]] = defaultdict(set)
    for line in lines:
        node = _node(line)
        by_node[node].append(line)
        while node != TOP:
            above = _above(node, structure)
            if node in children[above]:
                break  # the way up from here is drawn already
            children[above].add(node)
            node = above
    if not by_node:
        return []
    titles = _titles(structure, by_node, name)
    return list(_walk(TOP, 0, by_node, children, titles))


def _walk(
    node: Node,
    depth: int,
    by_node: dict[Node, list[Line]],
    children: dict[Node, set[Node]],
    titles: dict[Node, str],
) -> Iterator[Branch]:
    title = titles.get(node, "") or gettext("not shown to you")
    scope = str(Scope(node[0]).label)
    own: list[Line | None] = [*by_node.get(node, [])]
    for line in own or [None]:
        yield Branch(min(depth, DEEPEST), title, scope, line)
    order = list(Scope.values)
    below = sorted(children.get(node, ()), key=lambda n: (order.index(n[0]), titles.get(n, "")))
    for child in below:
        yield from _walk(child, depth + 1, by_node, children, titles)


def _node(line: Line) -> Node:
    budget = line.budget
    return (budget.scope, budget.scope_value or budget.scope_id)


def _above(node: Node, structure: Structure) -> Node:
    """Return what a place lies in; what the person may not see above it is the organization."""
    scope, row_id = node
    if not isinstance(row_id, UUID):
        return TOP
    if scope == Scope.API_KEY:
        home = structure.home_of(row_id)
        return (Scope.COST_CENTER, home) if home in structure.centers else TOP
    if scope == Scope.COST_CENTER:
        center = structure.centers.get(row_id)
        department = center.department_id if center else None
        return (Scope.DEPARTMENT, department) if department in structure.departments else TOP
    above = structure.above(row_id)[1:]
    return (Scope.DEPARTMENT, above[0]) if above else TOP


def _titles(structure: Structure, by_node: dict[Node, list[Line]], name: str) -> dict[Node, str]:
    titles: dict[Node, str] = {node: lines[0].place for node, lines in by_node.items()}
    titles |= {(Scope.DEPARTMENT, row.pk): row.name for row in structure.departments.values()}
    titles |= {
        (Scope.COST_CENTER, row.pk): row.code
        if row.code == row.name
        else f"{row.code} · {row.name}"
        for row in structure.centers.values()
    }
    return titles | {TOP: name}
