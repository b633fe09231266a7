"""An organization's own prices; their only writer: an old one is closed, never edited."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.prices.models import Price, PriceStatus
from attribution.prices.rates import Rates
from attribution.tenancy import policy

SOURCE = "own"
# what people set; the other rates of a price stay as the list has them
OFFERED = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "searches",
)


class PriceExistsError(ValueError):
    """The organization has a price of its own for this model then."""

    code = "price_exists"


class PriceNotOpenError(ValueError):
    """The price had ended already: another change came first, and two would bill by chance."""

    code = "price_not_open"


def create(
    provider: str,
    model: str,
    base: Rates,
    *,
    at: datetime,
    by: Actor,
    cleared: Collection[str] = (),
) -> Price:
    """Open an own price from `at` on; names, tiers and hours are those of the shared list.

    `cleared` rates fall back from then on, whatever the list says. `at` may lie in the past.
    """
    open_later = Q(effective_to=None) | Q(effective_to__gt=at)
    own = Price.objects.own().filter(provider=provider, model=model, status=PriceStatus.APPROVED)
    if own.filter(open_later).exists():
        raise PriceExistsError(f"{provider} {model}")
    listed = Price.objects.shared().open_at(at)
    shared = listed.filter(provider=provider, model=model, status=PriceStatus.APPROVED).first()
    price = Price(provider=provider, model=model, source=SOURCE, effective_from=at)
    if shared is not None:
        price.match = shared.match
        price.context_window = shared.context_window
        price.max_output_tokens = shared.max_output_tokens
    price.rates = merged(shared.rates if shared else {}, base, cleared)
    return _opened(price, by=by)


def change(
    price: Price, base: Rates, *, at: datetime, by: Actor, cleared: Collection[str] = ()
) -> Price:
    """Close `price` and open its successor with other base rates, both at `at`."""
    policy.changed(required())
    before = trail.snapshot(price)
    is_open = Q(effective_to=None) | Q(effective_to__gt=at)
    closed = Price.objects.own().filter(is_open, pk=price.pk, effective_from__lt=at)
    if not closed.update(effective_to=at):
        raise PriceNotOpenError(str(price))
    price.refresh_from_db()
    trail.append("price.closed", by=by, on=price, before=before, after=trail.snapshot(price))
    successor = Price(
        provider=price.provider,
        model=price.model,
        match=price.match,
        rates=merged(price.rates, base, cleared),
        context_window=price.context_window,
        max_output_tokens=price.max_output_tokens,
        source=SOURCE,
        effective_from=at,
    )
    return _opened(successor, by=by)


def adopt(listed: Sequence[Price], *, at: datetime, by: Actor) -> list[Price]:
    """Open a model's listed versions, in time order, as own prices from `at` on.

    An own price that is in force then is closed; one that begins later is in the way.
    """
    provider, model = listed[0].provider, listed[0].model
    own = Price.objects.own().filter(provider=provider, model=model, status=PriceStatus.APPROVED)
    if own.filter(effective_from__gte=at).exists():
        raise PriceExistsError(f"{provider} {model}")
    for price in own.filter(Q(effective_to=None) | Q(effective_to__gt=at)):
        close(price, at=at, by=by)
    return [_opened(_copied(one, since=at), by=by) for one in listed]


def close(price: Price, *, at: datetime, by: Actor) -> None:
    """End an own price at `at`: from then on the shared list applies again."""
    policy.changed(required())
    before = trail.snapshot(price)
    is_open = Q(effective_to=None) | Q(effective_to__gt=at)
    closed = Price.objects.own().filter(is_open, pk=price.pk, effective_from__lt=at)
    if not closed.update(effective_to=at):
        raise PriceNotOpenError(str(price))
    price.refresh_from_db()
    trail.append("price.closed", by=by, on=price, before=before, after=trail.snapshot(price))


def merged(rates: dict[str, Any], base: Rates, cleared: Collection[str] = ()) -> dict[str, Any]:
    """Return rates with another base; tiers, hours and service tiers stay."""
    kept = {name: rate for name, rate in rates.get("base", {}).items() if name not in cleared}
    return {**rates, "base": {**kept, **base.as_dict()}}


def _copied(listed: Price, *, since: datetime) -> Price:
    return Price(
        provider=listed.provider,
        model=listed.model,
        match=listed.match,
        rates=listed.rates,
        context_window=listed.context_window,
        max_output_tokens=listed.max_output_tokens,
        source=listed.source,
        sources=listed.sources,
        effective_from=max(listed.effective_from, since),
        effective_to=listed.effective_to,
    )


def _opened(price: Price, *, by: Actor) -> Price:
    policy.changed(required())
    price.organization_id = required()
    price.save(force_insert=True)
    trail.append("price.opened", by=by, on=price, after=trail.snapshot(price))
    return price
