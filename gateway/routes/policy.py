"""Downgrade rules: which calls go to a cheaper model while a budget is passed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from gateway.routes import matching


class Rule(msgspec.Struct):
    """A rule whose budget is passed, as the gateway's catalogue tells it."""

    budget_id: str
    until_ms: int  # when the budget's period ends, and with it what has passed
    models: list[str]
    to_model: str
    cost_centers: list[str] = []
    features: list[str] = []


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call asks for and who pays for it."""

    model: str
    cost_center: str | None
    feature: str | None
    budgets: Collection[str]  # that cover it
    ms: int


def cheaper(rules: Iterable[Rule], wish: Wish) -> str | None:
    """Return the model that the first fitting rule sends the call to; None to carry it as asked."""
    for rule in rules:
        if _fits(rule, wish):
            return rule.to_model if rule.to_model != wish.model else None
    return None


def _fits(rule: Rule, wish: Wish) -> bool:
    if wish.ms >= rule.until_ms or rule.budget_id not in wish.budgets:
        return False
    if rule.cost_centers and wish.cost_center not in rule.cost_centers:
        return False
    if rule.features and wish.feature not in rule.features:
        return False
    return bool(rule.models) and matching.is_allowed(wish.model, rule.models)
