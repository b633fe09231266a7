"""Which calls go to a cheaper model while a budget is passed."""

from typing import Any

import pytest

from gateway.routes.policy import Rule, Wish, cheaper

NOON = 1_790_000_000_000


def rule(**more: Any) -> Rule:
    columns = {"budget_id": "b1", "until_ms": NOON + 1, "models": ["large"], "to_model": "small"}
    return Rule(**{**columns, **more})


def wish(**more: Any) -> Wish:
    columns = {"model": "large", "cost_center": "RND", "feature": "search", "ms": NOON}
    return Wish(**{**columns, "budgets": {"b1", "b2"}, **more})


@pytest.mark.parametrize(
    ("wanted", "asked", "found"),
    [
        ({}, {}, "small"),
        ({"models": ["large-*", "la*"]}, {}, "small"),
        ({"models": ["*"]}, {}, "small"),
        ({"models": []}, {}, None),
        ({}, {"model": "other"}, None),
        ({"budget_id": "b9"}, {}, None),
        ({"cost_centers": ["SALES", "RND"]}, {}, "small"),
        ({"cost_centers": ["SALES"]}, {}, None),
        ({"cost_centers": ["SALES"]}, {"cost_center": None}, None),
        ({"features": ["search"]}, {}, "small"),
        ({"features": ["chat"]}, {}, None),
        ({"features": ["chat"]}, {"feature": None}, None),
        ({}, {"ms": NOON + 1}, None),  # the period that was passed has ended
        ({"models": ["*"]}, {"model": "small"}, None),
    ],
)
def test_a_rule_takes_the_calls_it_names(
    wanted: dict[str, Any], asked: dict[str, Any], found: str | None
) -> None:
    assert cheaper([rule(**wanted)], wish(**asked)) == found


def test_the_first_fitting_rule_decides() -> None:
    rules = [rule(models=["other"], to_model="a"), rule(to_model="b"), rule(to_model="c")]

    assert cheaper(rules, wish()) == "b"


def test_a_call_that_is_sent_on_is_not_sent_on_again() -> None:
    rules = [rule(models=["*"], to_model="small"), rule(models=["small"], to_model="tiny")]

    assert cheaper(rules, wish()) == "small"
    assert cheaper(rules, wish(model="small")) is None


def test_without_rules_everything_is_carried_as_asked() -> None:
    assert cheaper([], wish()) is None
