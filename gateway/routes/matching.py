"""Which route a model name means, and in which order its targets are tried."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    """A route: a model name or a pattern in which `*` matches any part."""

    @property
    def name(self) -> str:
        """Return the name or pattern."""


class Ranked(Protocol):
    """A target: lower positions first, weights share the calls of one position."""

    @property
    def position(self) -> int:
        """Return the rank."""

    @property
    def weight(self) -> int:
        """Return the share among equals."""


R = TypeVar("R", bound=Named)
T = TypeVar("T", bound=Ranked)


class Matcher(list[R]):
    """The routes of an organization, ready to be asked; build it once per refresh."""

    def __init__(self, routes: Iterable[R]) -> None:
        """Sort exact names from patterns; of patterns the one with most fixed letters wins."""
        super().__init__(routes)
        self._exact = {route.name: route for route in self if "*" not in route.name}
        patterns = [route for route in self if "*" in route.name]
        patterns.sort(key=lambda route: (-len(route.name.replace("*", "")), route.name))
        self._patterns = [(pattern(route.name), route) for route in patterns]

    def find(self, model: str) -> R | None:
        """Return the route of `model`: its exact name, else the closest pattern."""
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        return next((route for regex, route in self._patterns if regex.fullmatch(model)), None)


def pattern(name: str) -> re.Pattern[str]:
    """Compile a name in which `*` matches any part; however many, none is tried twice."""
    first, *rest = map(re.escape, name.split("*"))
    if not rest:
        return re.compile(first)
    # the earliest place is as good as any later one: atomic, so that nobody's pattern takes ages
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.compile(f"{first}{middle}.*{rest[-1]}")


def is_allowed(model: str, names: Iterable[str]) -> bool:
    """Tell whether a list of names and patterns allows `model`; an empty list allows all."""
    listed = list(names)
    return not listed or any(pattern(name).fullmatch(model) for name in listed)


def ordered(targets: Sequence[T], chances: Iterable[float]) -> list[T]:
    """Return the targets as they are tried; `chances` in [0, 1) draw among equals by weight."""
    if len(targets) < 2:
        return list(targets)
    left, found, draw = sorted(targets, key=lambda target: target.position), [], iter(chances)
    while left:
        equals = [target for target in left if target.position == left[0].position]
        chosen = _drawn(equals, next(draw))
        left.remove(chosen)
        found.append(chosen)
    return found


def _drawn(equals: list[T], chance: float) -> T:
    """Draw one of the targets, each as likely as its weight."""
    mark = chance * sum(target.weight for target in equals)
    for target in equals:
        mark -= target.weight
        if mark < 0:
            return target
    return equals[-1]
