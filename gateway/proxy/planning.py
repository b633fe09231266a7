"""What is decided of a call before anything is sent: who pays, where it goes, what it costs at most."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

from attribution import money
from attribution.prices.pricing import Rates
from attribution.usage import dimensions, fingerprint
from attribution.usage.dimensions import Dimensions
from budgets.limits.elastic import STEP
from gateway.proxy import answer, bound, fit
from gateway.proxy.answer import RefusedError
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.catalog import NO_BUDGETS, Catalog, Coverage
from gateway.proxy.bridge.lookup import CostCenterRow, KeyRow
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.caller import Caller
from gateway.proxy.incoming import Gateway, Incoming
from gateway.proxy.plan import Fit, Plan
from gateway.proxy.protocols import gemini_embeddings, openai_embeddings
from gateway.proxy.protocols.wire import Asked, Format
from gateway.routes import matching, policy
from gateway.routes.policy import Wish
from gateway.routes.targets import Target

MARGIN = 60  # seconds of a call beside its answer's own deadline: retries, waits, commits
TIERS = frozenset({"default", "flex"})  # what a client can ask for that bounds the price
# vectors are comparable with those of their own model only
VECTORS = frozenset({openai_embeddings.NAME, gemini_embeddings.NAME})
PLAIN = "/:@+*"  # beside letters, digits and -._~, what names of models are made of
SAID = frozenset(
    name.encode()
    for name in (*dimensions.HEADERS.values(), "x-tags", "x-prompt-name", "user-agent")
)


class Payer(NamedTuple):
    """Who a call is for, and which budgets are over it."""

    about: Dimensions
    center: CostCenterRow | None
    coverage: Coverage

    @property
    def code(self) -> str | None:
        """Return the code of the cost center that is charged."""
        return self.center.code if self.center else None


class Way(NamedTuple):
    """The model that is used, and where it is found, in the order of trying."""

    model: str
    targets: tuple[Target, ...]
    order: list[Target]


class Most(NamedTuple):
    """What the call can use and cost at most; without a ceiling nobody knows its price."""

    bounded: Bound
    ceiling: Rates | None
    hold: Decimal


async def plan(
    gateway: Gateway,
    incoming: Incoming,
    form: Format,
    asked: Asked,
    caller: Caller,
    *,
    is_trial: bool = False,
) -> Plan:
    """Decide who pays, where the call may go, what it costs at most, which budgets hold it.

    A trial opens no budget period and is never sent.
    """
    key, catalog, ms = caller.key, caller.catalog, incoming.ms
    headers = said(incoming.headers)
    payer = _payer(caller, headers, asked)
    way = _way(caller, payer, asked, form, ms)
    payer = payer._replace(coverage=payer.coverage.narrowed(way.model, way.targets, payer.about))
    most = _most(caller, payer, way, asked, form, ms)
    periods: Sequence[int] = ()
    if not is_trial:
        periods = await gateway.callers.periods(catalog, payer.coverage, ms=ms)
    reservation = Reservation(
        id=incoming.id,
        **caller.columns(payer.about, payer.center),
        **_columns(way, form, asked, ms),
        epoch=min(key.epoch, catalog.row.epoch),
        amount=money.text(most.hold),
        periods=periods,
        wait=payer.coverage.wait_ms > 0,
        ip=incoming.ip,
        user_agent=dimensions.clean(headers.get("user-agent", ""))[:256],
        prompt_name=headers.get("x-prompt-name"),
    )
    _mark(reservation, _secret(gateway, catalog), form.system_text(asked), incoming, asked)
    return _plan(incoming, form, asked, key, (payer, way, most), reservation)


def said(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the headers by which a call tells what it is for."""
    return {n.decode(): v.decode("latin-1") for n, v in headers.items() if n in SAID}


def _payer(caller: Caller, headers: Mapping[str, str], asked: Asked) -> Payer:
    """Say who and what the call is for; what is free is under no budget."""
    about = caller.says(headers, asked.attribution)
    center = caller.center(about.cost_center)
    if center is not None and (block := caller.catalog.block(None, center.id)) is not None:
        raise answer.blocked(block.kind, block.name)
    if asked.is_free:
        return Payer(about, center, NO_BUDGETS)
    over = caller.catalog.coverage(center.id if center else None, caller.key.id, about.user_id)
    return Payer(about, center, over)


def _way(caller: Caller, payer: Payer, asked: Asked, form: Format, ms: int) -> Way:
    """Find where the model leads; a rule may send the call to a cheaper one."""
    catalog = caller.catalog
    model, targets = asked.model, catalog.targets(asked.model, form.NAME)
    if not targets:
        message = f"There is no model {model!r} for calls of this format."
        raise RefusedError("unknown_model", message, param="model")
    if not matching.is_allowed(model, caller.key.allowed_models):
        message = f"This API key may not use the model {model!r}."
        raise RefusedError("model_not_allowed", message, param="model")
    if catalog.row.rules and form.NAME not in VECTORS:
        over = payer.coverage.narrowed(model, targets, payer.about)
        covering = [budget.id for budget in over.budgets]
        wish = Wish(model, payer.code, payer.about.feature, covering, ms)
        cheaper = policy.cheaper(catalog.row.rules, wish)
        others = catalog.targets(cheaper, form.NAME) if cheaper else ()
        if cheaper and others:
            model, targets = cheaper, others
    return Way(model, targets, matching.ordered(targets, iter(random.random, 1.0)))


def _most(caller: Caller, payer: Payer, way: Way, asked: Asked, form: Format, ms: int) -> Most:
    """Bound what the call can use and cost; refuse what no hard budget can hold."""
    catalog, most = caller.catalog, caller.key.max_output_tokens
    limits = bound.limits((target.listing for target in way.targets), most)
    bounded = bound.bound(asked, form.size(asked), limits)
    tier = asked.body.get("service_tier")
    tier = tier if isinstance(tier, str) and tier in TIERS else None
    ceiling = catalog.ceiling(way.targets, bounded.input_tokens, tier, ms)
    if payer.coverage.is_hard:
        bound.check(bounded, is_priced=ceiling is not None, model=way.model)
        bound.check_breach(way.model, form.NAME, catalog.row.breaches)
    if ceiling is None or asked.is_free:
        return Most(bounded, ceiling, Decimal(0))
    return Most(bounded, ceiling, bound.hold(bounded, ceiling))


def _columns(way: Way, form: Format, asked: Asked, ms: int) -> dict[str, Any]:
    """Return what the record of a call says of where it goes."""
    first = way.order[0]
    price = first.price_at(ms)
    return {
        "route": way.model,
        "provider": first.upstream.provider or first.upstream.row.name,
        "upstream_id": first.upstream.row.id,
        "model_requested": asked.model,
        "provider_model": first.model,
        "wire_format": form.NAME,
        "is_stream": asked.is_stream,
        "price_version": price.version if price else None,
        "deadline_s": max(t.upstream.row.total_timeout_s for t in way.targets) + MARGIN,
    }


def _plan(
    incoming: Incoming,
    form: Format,
    asked: Asked,
    key: KeyRow,
    decided: tuple[Payer, Way, Most],
    reservation: Reservation,
) -> Plan:
    """Put together what was decided."""
    payer, way, most = decided
    coverage = payer.coverage
    into = fit.wanted(incoming.headers, coverage)
    elastic = None if into else _elastic(coverage, way, most, asked, form)
    if elastic is not None:
        reservation.amount = money.text(bound.hold(bound.first(most.bounded, STEP), elastic))
    is_limited = coverage.is_hard or asked.max_output is not None or key.max_output_tokens
    return Plan(
        id=incoming.id,
        ms=incoming.ms,
        organization_id=key.organization_id,
        asked=asked,
        format=form,
        targets=way.order,
        bounded=most.bounded,
        hold=most.hold,
        is_hard=coverage.is_hard,
        reservation=reservation,
        client=incoming.headers,
        strip=frozenset(path for path in payer.about.strip if "." not in path),
        center=payer.code,
        is_enriched=key.enrich == "full",
        is_amount_hidden=key.is_amount_hidden,
        max_output=most.bounded.max_output if is_limited else None,
        fit=Fit(into, most.ceiling, coverage.wait_ms) if into and most.ceiling else None,
        elastic=elastic,
        notes=[] if way.model == asked.model else [_downgraded(asked.model, way.model)],
    )


def _elastic(coverage: Coverage, way: Way, most: Most, asked: Asked, form: Format) -> Rates | None:
    """Return the rates at which a hold may grow: only where all that is billed is seen as it comes."""
    is_seen = asked.is_stream and not any(form.hides_reasoning(asked, t.model) for t in way.targets)
    return most.ceiling if coverage.is_elastic and is_seen else None


def _downgraded(asked: str, used: str) -> tuple[bytes, bytes]:
    """Return the header that says so; a model's name is a client's text."""
    told = f"from={quote(asked, safe=PLAIN)}; to={quote(used, safe=PLAIN)}"
    return b"x-model-downgraded", told.encode("ascii")


def _mark(
    reservation: Reservation, secret: bytes, prompt: str, incoming: Incoming, asked: Asked
) -> None:
    """Add by what the call is known again: its prompt's fingerprint, its idempotency key."""
    print_ = fingerprint.of_prompt(secret, prompt, name=reservation.prompt_name)
    reservation.prompt_fp = _hex(print_) if print_ else None
    key = incoming.headers.get(b"idempotency-key")
    if key is None:
        return
    if not 0 < len(key) <= 255:
        message = "Idempotency-Key has 1 to 255 bytes."
        raise RefusedError("invalid_request", message, param="Idempotency-Key")
    reservation.idem = _hex(hashlib.sha256(key).digest())
    reservation.body_fp = _hex(fingerprint.of_body(secret, msgspec.json.encode(asked.body)))


def _secret(gateway: Gateway, catalog: Catalog) -> bytes:
    """Return the organization's fingerprint key, derived once per catalogue."""
    if catalog.fingerprint_key is None:
        owner = UUID(catalog.row.organization.id)
        secret = gateway.fingerprint_secret
        catalog.fingerprint_key = fingerprint.organization_key(secret, owner)
    return catalog.fingerprint_key


def _hex(data: bytes) -> str:
    return "\\x" + data.hex()
