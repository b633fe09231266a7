"""The story of one call, from its bytes to the pump that carries it."""

import hashlib
import os
import random
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import msgspec

from attribution import money
from attribution.usage import dimensions, fingerprint
from gateway.proxy import bound
from gateway.proxy.answer import RefusedError
from gateway.proxy.bound import Bound, Limits
from gateway.proxy.bridge.catalog import Target
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.caller import Caller, Callers
from gateway.proxy.protocols.wire import Asked, Format
from gateway.proxy.pump import Plan, Pump, Pumps
from gateway.routes import matching

MARGIN = 60  # seconds of a call beside the answer's own deadline: retries, waits, commits


@dataclass(slots=True)
class Gateway:
    """What one process serves calls with."""

    callers: Callers
    pumps: Pumps
    fingerprint_secret: bytes


@dataclass(slots=True)
class Incoming:
    """One request: its id, the key it presents, its headers (single, lower case) and its body."""

    id: str
    ms: int
    token: str
    headers: dict[bytes, bytes]
    body: bytes
    ip: str | None


async def begin(gateway: Gateway, incoming: Incoming, format_: Format) -> Pump:
    """Understand a call, decide what it may cost, and start its pump."""
    asked = format_.parse_request(incoming.body, {})
    caller = await gateway.callers.of(incoming.token)
    plan = await _plan(gateway, incoming, format_, asked, caller)

    async def renew() -> Plan:
        fresh = await gateway.callers.of(incoming.token, is_stale=True)
        return await _plan(gateway, incoming, format_, asked, fresh)

    return gateway.pumps.start(plan, renew)


def mint(ms: int) -> str:
    """Return a UUIDv7 of an instant in milliseconds."""
    rest = int.from_bytes(os.urandom(10), "big")
    number = ms << 80 | 0x7 << 76 | (rest >> 68) << 64 | 0x2 << 62 | rest & (1 << 62) - 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


async def _plan(
    gateway: Gateway, incoming: Incoming, format_: Format, asked: Asked, caller: Caller
) -> Plan:
    """Decide who pays, where the call may go, what it costs at most, which budgets hold it."""
    key, catalog, ms = caller.key, caller.catalog, incoming.ms
    headers = {n.decode(): v.decode("latin-1") for n, v in incoming.headers.items() if n in _SAID}
    said = caller.says(headers, asked.attribution)
    center, is_flagged = caller.center(said.cost_center)
    targets = catalog.targets(asked.model)
    if not targets:
        raise RefusedError("unknown_model", f"There is no model {asked.model!r}.", param="model")
    if not matching.is_allowed(asked.model, key.allowed_models):
        message = f"This API key may not use the model {asked.model!r}."
        raise RefusedError("model_not_allowed", message, param="model")
    coverage = catalog.coverage(center.id if center else None, key.id, said.user_id)
    bounded = bound.bound(asked, format_.size(asked), _limits(targets, key.max_output_tokens))
    tier = asked.body.get("service_tier")
    tier = tier if tier in {"default", "flex"} else None
    ceiling = catalog.ceiling(targets, bounded.input_tokens, tier, ms)
    if coverage.is_hard:
        _check_bound(bounded, is_priced=ceiling is not None, model=asked.model)
    hold = bound.hold(bounded, ceiling) if ceiling is not None else Decimal(0)
    periods = await gateway.callers.periods(
        catalog, coverage, model=asked.model, targets=targets, ms=ms
    )
    order = matching.ordered(targets, iter(random.random, 1.0))
    row = order[0].upstream.row
    name = headers.get("x-prompt-name")
    secret = catalog.fingerprint_key
    if secret is None:
        owner = UUID(key.organization_id)
        secret = fingerprint.organization_key(gateway.fingerprint_secret, owner)
        catalog.fingerprint_key = secret
    prompt = fingerprint.of_prompt(secret, format_.system_text(asked), name=name)
    idem = incoming.headers.get(b"idempotency-key")
    price = order[0].price_at(ms)
    reservation = Reservation(
        id=incoming.id,
        organization_id=key.organization_id,
        api_key_id=key.id,
        epoch=min(key.epoch, catalog.row.epoch),
        amount=money.text(hold),
        periods=periods,
        deadline_s=max(t.upstream.row.total_timeout_s for t in targets) + MARGIN,
        idem=_idem(idem),
        body_fp=_hex(fingerprint.of_body(secret, msgspec.json.encode(asked.body)))
        if idem
        else None,
        wait=coverage.wait_ms > 0,
        api_key_name=key.name,
        department_id=center.department_id if center else None,
        cost_center_id=center.id if center else None,
        is_attribution_flagged=is_flagged,
        user_id=said.user_id,
        path=said.path,
        feature=said.feature,
        session_id=said.session_id,
        feature_flag=said.feature_flag,
        environment=said.environment,
        tags=said.tags or None,
        ip=incoming.ip,
        user_agent=dimensions.clean(headers.get("user-agent", ""))[:256],
        prompt_fp=_hex(prompt) if prompt else None,
        prompt_name=name,
        route=asked.model,
        provider=order[0].upstream.provider or row.name,
        upstream_id=row.id,
        model_requested=asked.model,
        wire_format="openai_chat",
        is_stream=asked.is_stream,
        price_version=price.version if price else None,
    )
    must_limit = coverage.is_hard or asked.max_output is not None or key.max_output_tokens
    return Plan(
        id=incoming.id,
        ms=ms,
        organization_id=key.organization_id,
        asked=asked,
        format=format_,
        targets=order,
        bounded=bounded,
        hold=hold,
        is_hard=coverage.is_hard,
        reservation=reservation,
        client=incoming.headers,
        strip=frozenset(path for path in said.strip if "." not in path),
        center=center.code if center else None,
        is_enriched=key.enrich == "full",
        is_amount_hidden=key.is_amount_hidden,
        max_output=bounded.max_output if must_limit else None,
    )


def _check_bound(bounded: Bound, *, is_priced: bool, model: str) -> None:
    """Refuse what no hard budget can hold."""
    if not is_priced:
        message = f"The model {model!r} has no price, and a hard budget covers this call."
        raise RefusedError("unpriced_model", message, param="model")
    if bounded.unbounded:
        message = f"{bounded.unbounded} leaves the cost of this call without a bound."
        raise RefusedError("unbounded_request", message, param=bounded.unbounded)


def _limits(targets: tuple[Target, ...], key_output: int | None) -> Limits:
    """Return what is known of every target: the largest window, the smallest output limit."""
    windows = [t.listing.context_window if t.listing else None for t in targets]
    limits = [t.listing.max_output_tokens for t in targets if t.listing]
    known = [window for window in windows if window is not None]
    window = max(known) if known and len(known) == len(windows) else None
    outputs = [limit for limit in limits if limit is not None]
    return Limits(window, min(outputs, default=None), key_output)


def _idem(given: bytes | None) -> str | None:
    if given is None:
        return None
    if not 0 < len(given) <= 255:
        raise RefusedError(
            "invalid_request", "Idempotency-Key has 1 to 255 bytes.", param="Idempotency-Key"
        )
    return _hex(hashlib.sha256(given).digest())


def _hex(data: bytes) -> str:
    return "\\x" + data.hex()


_SAID = frozenset(
    name.encode()
    for name in (*dimensions.HEADERS.values(), "x-tags", "x-prompt-name", "user-agent")
)
