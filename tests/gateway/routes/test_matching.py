"""Which route a model name means, and in which order its targets are tried."""

import itertools
from collections import Counter
from dataclasses import dataclass

from gateway.routes import matching
from gateway.routes.matching import Matcher


@dataclass(frozen=True)
class Route:
    name: str


@dataclass(frozen=True)
class Target:
    name: str
    position: int = 0
    weight: int = 1


def test_an_exact_name_wins_over_patterns_and_the_closest_pattern_over_others() -> None:
    routes = Matcher(map(Route, ("*", "gpt-*", "gpt-4*", "gpt-4o")))

    found = [routes.find(name) for name in ("gpt-4o", "gpt-4.1", "gpt-3", "claude")]

    assert [route.name for route in found if route] == ["gpt-4o", "gpt-4*", "gpt-*", "*"]


def test_without_a_matching_route_there_is_none() -> None:
    assert Matcher([Route("gpt-4o"), Route("o*")]).find("gpt-4") is None


def test_a_pattern_means_no_more_than_its_stars() -> None:
    assert matching.is_allowed("gpt-4.1", ["gpt-4.1"])
    assert not matching.is_allowed("gpt-4x1", ["gpt-4.1"])
    assert not matching.is_allowed("gpt-4.1-mini", ["gpt-4.1"])
    assert matching.is_allowed("anything", [])


def test_a_pattern_of_many_stars_is_decided_at_once() -> None:
    name = "*a" * 60 + "b"  # tried in every way, one look would take longer than anybody lives

    assert not matching.is_allowed("a" * 250, [name])
    assert matching.is_allowed("a" * 250 + "b", [name])
    assert matching.is_allowed("xaxbx", ["*a*b*"])
    assert not matching.is_allowed("xbxax", ["*a*b*"])
    assert not matching.is_allowed("ab", ["ab*b"])


def test_lower_positions_come_first_whatever_their_weight() -> None:
    targets = [Target("c", 2, 100), Target("a", 0), Target("b", 1, 50)]

    found = matching.ordered(targets, itertools.repeat(0.99))

    assert [target.name for target in found] == ["a", "b", "c"]


def test_equals_share_the_calls_by_weight() -> None:
    targets = [Target("a", weight=3), Target("b", weight=1)]
    draws = (number / 400 for number in range(400))

    first = Counter(matching.ordered(targets, itertools.repeat(draw))[0].name for draw in draws)

    assert first == {"a": 300, "b": 100}
