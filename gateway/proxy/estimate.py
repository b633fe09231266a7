"""What a call would cost at most, and whether it would be admitted now: planned like a call, never made."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from attribution import money
from attribution.prices import pricing
from attribution.prices.rates import FEES, Rates
from attribution.prices.tokens import Tokens
from gateway.proxy import bound, planning, standing
from gateway.proxy.incoming import Gateway, Incoming
from gateway.proxy.plan import Plan
from gateway.proxy.protocols.wire import Format
from gateway.proxy.standing import Figures
from gateway.routes.targets import Target, instant

BYTES_PER_TOKEN = 4  # of ordinary text
USUAL_OUTPUT = 400  # tokens of an ordinary answer, per choice


async def of(
    gateway: Gateway, incoming: Incoming, form: Format, path: Mapping[str, str], body: Any
) -> dict[str, Any]:
    """Return what a call with this body at this path would cost; raises what the call would meet."""
    asked = form.parse_request(msgspec.json.encode(body), path)
    trial = replace(incoming, path=path)
    plan = await planning.plan(gateway, trial, form, asked, incoming.caller, is_trial=True)
    figures = await _figures(gateway, incoming, plan)
    shortened = _shortened(plan, figures)
    needed = Decimal(plan.reservation.amount) if plan.elastic else plan.hold
    tight = [one for one in figures if one.is_hard and one.remaining < needed]
    is_priced = plan.asked.is_free or all(target.price_at(plan.ms) for target in plan.targets)
    upper = plan.hold if is_priced else None
    return {
        "model": plan.reservation.route,
        "upper_bound_usd": None if upper is None else money.text(upper),
        "expected_usd": _expected(plan, form, upper),
        "price": _price(plan.targets[0], _likely(plan, form), plan.ms),
        "tokens": {
            "input_at_most": plan.bounded.input_tokens,
            "output_at_most": plan.bounded.output_tokens,
        },
        "shortened_to": shortened,
        "admitted": not tight,
        "refusal": _refusal(tight, needed),
        "budgets": [_needed(one, plan, needed) for one in figures],
    }


async def _figures(gateway: Gateway, incoming: Incoming, plan: Plan) -> list[Figures]:
    """Return how the budgets stand that the call would be held in."""
    if plan.asked.is_free:
        return []
    catalog, key, booked = incoming.caller.catalog, incoming.caller.key, plan.reservation
    over = catalog.coverage(booked.cost_center_id, key.id, booked.user_id)
    held = over.narrowed(booked.route, plan.targets, booked)
    return await standing.read(gateway.callers.lookup, catalog, held.budgets, plan.ms)


def _shortened(plan: Plan, figures: list[Figures]) -> int | None:
    """Shorten the answer as the admission would; return its limit of output tokens, if it is one."""
    fit = plan.fit
    room = [one.remaining for one in figures if fit is not None and one.budget.id in fit.budgets]
    if fit is None or not room or plan.hold <= min(room):
        return None
    bounded = bound.fitted(plan.bounded, fit.ceiling, min(room)) or bound.least(plan.bounded)
    plan.bounded, plan.hold = bounded, bound.hold(bounded, fit.ceiling)
    return bounded.max_output


def _refusal(tight: list[Figures], hold: Decimal) -> str | None:
    if not tight:
        return None
    is_gone = any(one.firm < hold for one in tight)
    return "budget_exceeded" if is_gone else "budget_reserved"


def _needed(figures: Figures, plan: Plan, needed: Decimal) -> dict[str, Any]:
    remaining = None if plan.is_amount_hidden else money.text(figures.remaining)
    return {
        "id": figures.budget.id,
        "name": figures.budget.name,
        "enforcement": figures.budget.enforcement,
        "remaining": remaining,
        "needed": money.text(needed),
    }


def _likely(plan: Plan, form: Format) -> Tokens:
    """Guess the tokens of an ordinary call of this size; nothing is decided by it."""
    text = -(-form.size(plan.asked).text_bytes // BYTES_PER_TOKEN)
    output = USUAL_OUTPUT * plan.bounded.choices
    return Tokens(
        input=min(text, plan.bounded.input_tokens), output=min(output, plan.bounded.output_tokens)
    )


def _expected(plan: Plan, form: Format, upper: Decimal | None) -> str | None:
    if upper is None or plan.asked.is_free:
        return None if upper is None else "0"
    likely = _likely(plan, form)
    cost = pricing.cost(likely, _rates(plan.targets[0], likely, plan.ms))
    return None if cost is None else money.text(min(cost.total, upper))


def _price(target: Target, tokens: Tokens, ms: int) -> dict[str, Any] | None:
    """Return the rates that the first target would charge for a call of this size."""
    dated, rates = target.price_at(ms), _rates(target, tokens, ms)
    if dated is None or rates is None:
        return None
    stated = rates.as_dict()
    return {
        "version": dated.version,
        "provider": target.upstream.provider or target.upstream.row.name,
        "model": target.model,
        "usd_per_million_tokens": {n: rate for n, rate in stated.items() if n not in FEES},
        "usd_per_fee": {name: rate for name, rate in stated.items() if name in FEES},
    }


def _rates(target: Target, tokens: Tokens, ms: int) -> Rates | None:
    dated = target.price_at(ms)
    return pricing.rates_for(dated.card, tokens, at=instant(ms)) if dated else None
