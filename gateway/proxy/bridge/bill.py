"""What a carried call is settled at: reported usage at the price of its admission, else a count."""

import logging
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices import pricing
from attribution.prices.pricing import Cost, DatedCard
from attribution.prices.tokens import Tokens
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.protocols.wire import Seen, SubUse
from gateway.routes.targets import Target, instant

logger = logging.getLogger(__name__)

LONGEST = 255  # characters of a name


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
    is_free: bool  # the provider charges nothing for such calls
    columns: dict[str, Any]  # status, latency, attempts, …
    is_hard: bool = False  # a hard budget covers the call
    is_elastic: bool = False  # less than `hold` may be held: the rest was not asked for, or refused


def bill(carried: Carried, seen: Seen, *, more_output: int = 0) -> Settlement:
    """Return the settlement of a call that the provider accepted. Never 0 for what was not told.

    `more_output` is what a provider may still write and bill after its answer was cut.
    """
    seen.model, seen.service_tier = _word(seen.model), _word(seen.service_tier)
    if seen.usage is not None:
        return _settled(carried, seen, seen.usage, is_estimated=False)
    if carried.hides_output:
        return given_up(carried, seen)
    visible = seen.visible_output() + more_output
    output = visible if carried.output_bound is None else min(visible, carried.output_bound)
    read = Tokens(input=carried.input_bound) if seen.partial is None else seen.partial
    return _settled(carried, seen, replace(read, output=output), is_estimated=True)


def given_up(carried: Carried, seen: Seen | None = None) -> Settlement:
    """Return the settlement of a call that may have been billed, nobody knows how much."""
    if carried.is_free:
        return released(carried)
    return Settlement(
        carried.call,
        "uncertain",
        model_billed=seen.model if seen else None,
        **_place(carried, carried.price),
        **carried.columns,
    )


def released(carried: Carried) -> Settlement:
    """Return the settlement of a call that provably costs nothing."""
    place = _place(carried, carried.price)
    return Settlement(carried.call, "released", **place, **carried.columns)


def _settled(carried: Carried, seen: Seen, tokens: Tokens, *, is_estimated: bool) -> Settlement:
    """Price the tokens; NULL, never 0, where there is no price: a hard budget then keeps the hold."""
    price = _price(carried, seen)
    cost, source = _cost(carried, seen, tokens, price)
    if cost is not None and is_estimated and cost.total > carried.hold > 0 and source == "usage":
        # a count is never above what the call can cost
        cost = pricing.stated(carried.hold, tokens, cost, name=pricing.CUT_AT_HOLD)
    columns, usage = dict(carried.columns), _usage(carried, seen, tokens)
    if cost is not None and cost.total > carried.hold > 0:  # 0: no price was known, none was held
        columns["error_code"] = "bound_breach"
        usage["bound_breach"] = money.text(carried.hold)
        extra = {"call": carried.call, "model": carried.target.model}
        logger.error("bound_breach", extra=extra | {"cost": cost.total, "hold": carried.hold})
    return Settlement(
        carried.call,
        "uncertain" if cost is None and carried.is_hard else "settled",
        cost=None if cost is None else money.text(cost.total),
        cost_source="count" if is_estimated and source == "usage" else source,
        is_estimated=is_estimated,
        lines=[line.as_dict() for line in cost.lines] if cost else _counts(tokens),
        usage=usage,
        model_billed=seen.model or carried.target.model,
        service_tier=seen.service_tier,
        **_place(carried, price),
        **columns | {f"{name}_tokens": count for name, count in tokens.as_dict().items()},
    )


def _counts(tokens: Tokens) -> list[dict[str, Any]]:
    """Return the lines of a call without a cost: what is counted is counted all the same."""
    return [{"token_class": name, "quantity": n} for name, n in tokens.as_dict().items()]


def _usage(carried: Carried, seen: Seen, tokens: Tokens) -> dict[str, Any]:
    """Return what the record keeps of the usage beside its columns."""
    usage: dict[str, Any] = dict(tokens.as_dict())
    if (multiplier := carried.target.upstream.multiplier) != 1:
        usage["multiplier"] = money.text(multiplier)  # the terms of that day, for a later re-rating
    if carried.is_elastic:
        usage["elastic"] = money.text(carried.hold)  # the bound that its hold grew towards
    if seen.web_searches:
        usage["searches"] = seen.web_searches
    if seen.others:
        others = [(_word(model), used) for model, used in seen.others]
        usage["others"] = [{"model": model, **used.as_dict()} for model, used in others]
    if seen.upstream_cost is not None:
        usage["upstream_cost"] = money.text(money.half_even(seen.upstream_cost))
    if seen.is_unpriceable:
        usage["unpriceable"] = 1
    return usage


def _word(text: str | None) -> str | None:
    """Return a provider's word as the books can hold it: no NUL, no surrogate, no novel."""
    if text is None or (len(text) <= LONGEST and text.isprintable()):
        return text
    return "".join(c for c in text[:LONGEST] if c.isprintable()) or None


def _price(carried: Carried, seen: Seen) -> DatedCard | None:
    """Return the price of the model that answered; where it has none, of the one that was asked."""
    target = carried.target
    if seen.model is None or seen.model == target.model:
        return carried.price
    listing = target.other(seen.model)
    if listing is None or listing is target.listing:
        return carried.price
    return listing.at(instant(carried.at_ms)) or carried.price


def _cost(
    carried: Carried, seen: Seen, tokens: Tokens, price: DatedCard | None
) -> tuple[Cost | None, str]:
    """Return what the call costs, and who says so."""
    if carried.is_free:
        return Cost(Decimal(0), ()), "usage"
    calculated = _calculated(carried, seen, tokens, price)
    if carried.target.upstream.row.is_cost_reported and seen.cost is not None:
        return pricing.stated(money.half_even(seen.cost), tokens, calculated), "provider"
    return calculated, "usage"


def _calculated(
    carried: Carried, seen: Seen, tokens: Tokens, price: DatedCard | None
) -> Cost | None:
    """Return what the call costs at our prices; None where a part of it has none."""
    if price is None or seen.is_unpriceable:
        return None
    at = instant(carried.at_ms)
    rates = pricing.rates_for(price.card, tokens, at=at, service_tier=seen.service_tier)
    cost = pricing.cost(tokens, rates, searches=seen.web_searches)
    for other in seen.others:
        cost = pricing.joined(cost, _other(carried, seen, price, other))
    return cost


def _other(carried: Carried, seen: Seen, price: DatedCard, used: SubUse) -> Cost | None:
    """Price what another model used, or the billed one beside its sums."""
    at, found = instant(carried.at_ms), price
    if used.model is not None and used.model != seen.model:
        listing = carried.target.other(used.model)
        dated = listing.at(at) if listing else None
        if dated is None:
            return None
        found = dated
    return pricing.cost(used.usage, pricing.rates_for(found.card, used.usage, at=at))


def _place(carried: Carried, price: DatedCard | None) -> dict[str, Any]:
    upstream = carried.target.upstream
    return {
        "provider": upstream.provider or upstream.row.name,
        "upstream_id": upstream.row.id,
        "provider_model": carried.target.model,
        "price_version": price.version if price else None,
    }
