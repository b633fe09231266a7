"""The story of one call, from its bytes to the pump that carries it."""

import hashlib
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

import msgspec

from attribution import money
from attribution.usage import dimensions, fingerprint
from gateway.proxy import answer, bound, fit, throttle
from gateway.proxy.answer import RefusedError
from gateway.proxy.bridge.catalog import NO_BUDGETS, Catalog, may_match
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.caller import Caller, Callers
from gateway.proxy.fleet import Pumps
from gateway.proxy.plan import Fit, Plan
from gateway.proxy.protocols import gemini_embeddings, openai_embeddings
from gateway.proxy.protocols.wire import Asked, Format
from gateway.proxy.pump import Pump
from gateway.proxy.rate_limits.limits import RateLimits
from gateway.routes import matching, policy
from gateway.routes.policy import Wish
from gateway.routes.targets import Target

MARGIN = 60  # seconds of a call beside its answer's own deadline: retries, waits, commits
TIERS = frozenset({"default", "flex"})  # what a client can ask for that bounds the price
VECTORS = frozenset(
    {openai_embeddings.NAME, gemini_embeddings.NAME}
)  # of one model only comparable
PLAIN = "/:@+*"  # beside letters, digits and -._~, what names of models are made of
SAID = frozenset(
    name.encode()
    for name in (*dimensions.HEADERS.values(), "x-tags", "x-prompt-name", "user-agent")
)


@dataclass(slots=True)
class Gateway:
    """What one process serves calls with."""

    callers: Callers
    pumps: Pumps
    limits: RateLimits
    fingerprint_secret: bytes


@dataclass(slots=True)
class Incoming:
    """One request: its id, who calls, its headers (single, lower case) and its body."""

    id: str
    ms: int
    token: str
    caller: Caller
    headers: dict[bytes, bytes]
    body: bytes
    ip: str | None
    path: Mapping[str, str] | None = None  # variables of the URL, and `alt` of its query


async def begin(gateway: Gateway, incoming: Incoming, form: Format) -> Pump:
    """Understand a call, decide what it may cost, and start its pump."""
    asked = form.parse_request(incoming.body, incoming.path or {})
    first = await plan(gateway, incoming, form, asked, incoming.caller)
    await throttle.take(gateway.limits, incoming.caller, first)

    async def renew() -> Plan:
        fresh = await gateway.callers.of(incoming.token, is_stale=True)
        try:
            renewed = await plan(gateway, incoming, form, asked, fresh)
        except ValueError as error:
            raise answer.as_refusal(error) from error
        throttle.hand_on(first, renewed)
        return renewed

    return gateway.pumps.start(first, renew)


def said(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the headers by which a call tells what it is for."""
    return {n.decode(): v.decode("latin-1") for n, v in headers.items() if n in SAID}


def mint(ms: int) -> str:
    """Return a UUIDv7 of an instant in milliseconds."""
    rest = int.from_bytes(os.urandom(10), "big")
    number = ms << 80 | 0x7 << 76 | (rest >> 68) << 64 | 0x2 << 62 | rest & (1 << 62) - 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


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
    about = caller.says(headers, asked.attribution)
    center = caller.center(about.cost_center)
    targets = catalog.targets(asked.model, form.NAME)
    if not targets:
        message = f"There is no model {asked.model!r} for calls of this format."
        raise RefusedError("unknown_model", message, param="model")
    if not matching.is_allowed(asked.model, key.allowed_models):
        message = f"This API key may not use the model {asked.model!r}."
        raise RefusedError("model_not_allowed", message, param="model")
    coverage = NO_BUDGETS
    if not asked.is_free:
        coverage = catalog.coverage(center.id if center else None, key.id, about.user_id)
    model = asked.model
    if catalog.row.rules and form.NAME not in VECTORS:
        code = center.code if center else None
        covering = [b.id for b in coverage.budgets if may_match(b.filters, model, targets)]
        wish = Wish(model, code, about.feature, covering, ms)
        model, targets = _sent_on(catalog, wish, form, targets)
    limits = bound.limits((target.listing for target in targets), key.max_output_tokens)
    bounded = bound.bound(asked, form.size(asked), limits)
    tier = asked.body.get("service_tier")
    tier = tier if isinstance(tier, str) and tier in TIERS else None
    ceiling = catalog.ceiling(targets, bounded.input_tokens, tier, ms)
    if coverage.is_hard:
        bound.check(bounded, is_priced=ceiling is not None, model=model)
        bound.check_breach(model, form.NAME, catalog.row.breaches)
    hold = Decimal(0) if ceiling is None or asked.is_free else bound.hold(bounded, ceiling)
    order = matching.ordered(targets, iter(random.random, 1.0))
    price, row = order[0].price_at(ms), order[0].upstream.row
    reservation = Reservation(
        id=incoming.id,
        **caller.columns(about, center),
        epoch=min(key.epoch, catalog.row.epoch),
        amount=money.text(hold),
        periods=()
        if is_trial
        else await gateway.callers.periods(catalog, coverage, model=model, targets=targets, ms=ms),
        deadline_s=max(target.upstream.row.total_timeout_s for target in targets) + MARGIN,
        wait=coverage.wait_ms > 0,
        ip=incoming.ip,
        user_agent=dimensions.clean(headers.get("user-agent", ""))[:256],
        prompt_name=headers.get("x-prompt-name"),
        route=model,
        provider=order[0].upstream.provider or row.name,
        upstream_id=row.id,
        model_requested=asked.model,
        wire_format=form.NAME,
        is_stream=asked.is_stream,
        price_version=price.version if price else None,
    )
    _mark(reservation, _secret(gateway, catalog), form.system_text(asked), incoming, asked)
    into = fit.wanted(incoming.headers, coverage, model, targets)
    is_limited = coverage.is_hard or asked.max_output is not None or key.max_output_tokens
    return Plan(
        id=incoming.id,
        ms=ms,
        organization_id=key.organization_id,
        asked=asked,
        format=form,
        targets=order,
        bounded=bounded,
        hold=hold,
        is_hard=coverage.is_hard,
        reservation=reservation,
        client=incoming.headers,
        strip=frozenset(path for path in about.strip if "." not in path),
        center=center.code if center else None,
        is_enriched=key.enrich == "full",
        is_amount_hidden=key.is_amount_hidden,
        max_output=bounded.max_output if is_limited else None,
        fit=Fit(into, ceiling, coverage.wait_ms) if into and ceiling is not None else None,
        notes=[] if model == asked.model else [_downgraded(asked.model, model)],
    )


def _sent_on(
    catalog: Catalog, wish: Wish, form: Format, targets: tuple[Target, ...]
) -> tuple[str, tuple[Target, ...]]:
    """Return the model that is used and where it leads: a cheaper one where a rule says so."""
    cheaper = policy.cheaper(catalog.row.rules, wish)
    others = catalog.targets(cheaper, form.NAME) if cheaper else ()
    return (cheaper, others) if cheaper and others else (wish.model, targets)


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
