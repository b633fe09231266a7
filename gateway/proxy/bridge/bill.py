"""What a carried call is settled at: reported usage at the price of its admission, else a count."""

import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices import pricing
from attribution.prices.pricing import Cost, DatedCard
from attribution.prices.tokens import Tokens
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.protocols.wire import Seen
from gateway.routes.targets import Target, instant

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Carried:
    """What is known of a call besides what its answer says."""

    call: str
    at_ms: int
    hold: Decimal
    target: Target
    price: DatedCard | None
    input_bound: int
    output_bound: int | None  # None: unbounded, allowed without hard budgets only
    hides_output: bool  # not every billed token is visible
    columns: dict[str, Any]  # status, latency, attempts, …


def bill(carried: Carried, seen: Seen, *, more_output: int = 0) -> Settlement:
    """Return the settlement of a call that the provider accepted. Never 0 for what was not told.

    `more_output` is what a provider may still write and bill after its answer was cut.
    """
    if seen.usage is not None:
        return _settled(carried, seen, seen.usage, is_estimated=False)
    if carried.hides_output:
        return given_up(carried, seen)
    visible = seen.visible_output() + more_output
    output = visible if carried.output_bound is None else min(visible, carried.output_bound)
    read = carried.input_bound if seen.partial_input is None else seen.partial_input
    return _settled(carried, seen, Tokens(input=read, output=output), is_estimated=True)


def given_up(carried: Carried, seen: Seen | None = None) -> Settlement:
    """Return the settlement of a call that may have been billed, nobody knows how much."""
    return Settlement(
        carried.call,
        "uncertain",
        model_billed=seen.model if seen else None,
        **_place(carried),
        **carried.columns,
    )


def released(carried: Carried) -> Settlement:
    """Return the settlement of a call that provably costs nothing."""
    return Settlement(carried.call, "released", **_place(carried), **carried.columns)


def _settled(carried: Carried, seen: Seen, tokens: Tokens, *, is_estimated: bool) -> Settlement:
    """Price the tokens; NULL, never 0, where there is no price."""
    cost, source = _cost(carried, seen, tokens)
    if cost is not None and is_estimated and cost.total > carried.hold > 0:
        cost = Cost(carried.hold, ())  # a count is never above what the call can cost
    columns = dict(carried.columns)
    usage: dict[str, Any] = dict(tokens.as_dict())
    if seen.web_searches:
        usage["searches"] = seen.web_searches
    if cost is not None and cost.total > carried.hold:
        columns["error_code"] = "bound_breach"
        usage["bound_breach"] = money.text(carried.hold)
        extra = {"call": carried.call, "model": carried.target.model}
        logger.error("bound_breach", extra=extra | {"cost": cost.total, "hold": carried.hold})
    return Settlement(
        carried.call,
        "settled",
        cost=None if cost is None else money.text(cost.total),
        cost_source="count" if is_estimated else source,
        is_estimated=is_estimated,
        lines=[line.as_dict() for line in cost.lines] if cost else [],
        usage=usage,
        model_billed=seen.model or carried.target.model,
        service_tier=seen.service_tier,
        **_place(carried),
        **columns | {f"{name}_tokens": count for name, count in tokens.as_dict().items()},
    )


def _cost(carried: Carried, seen: Seen, tokens: Tokens) -> tuple[Cost | None, str]:
    upstream = carried.target.upstream
    if upstream.row.is_cost_reported and seen.cost is not None:
        return Cost(money.half_even(seen.cost), ()), "provider"
    if carried.price is None or seen.is_unpriceable:
        return None, "usage"
    at = instant(carried.at_ms)
    rates = pricing.rates_for(carried.price.card, tokens, at=at, service_tier=seen.service_tier)
    return pricing.cost(tokens, rates, searches=seen.web_searches), "usage"


def _place(carried: Carried) -> dict[str, Any]:
    upstream = carried.target.upstream
    return {
        "provider": upstream.provider or upstream.row.name,
        "upstream_id": upstream.row.id,
        "price_version": carried.price.version if carried.price else None,
    }
