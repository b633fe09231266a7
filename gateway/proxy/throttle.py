"""Rate limits of one call: who sets them, what it counts for, and the refusal that names the limit."""

from operator import attrgetter

from gateway.proxy.answer import RefusedError
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.catalog import Catalog
from gateway.proxy.bridge.lookup import KeyRow, LimitRow
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.caller import Caller
from gateway.proxy.plan import Plan
from gateway.proxy.protocols.wire import Asked
from gateway.proxy.rate_limits.limits import RateLimits
from gateway.proxy.rate_limits.verdict import Subject, Verdict
from gateway.proxy.upstream.headers import Headers

UNSTATED = 4096  # output tokens counted at first for a call that states no limit of its own
CLASSES = attrgetter(*(n for n in Settlement.__struct_fields__ if n.endswith("_tokens")))
UNITS = {
    "requests": ("requests_per_minute", "requests per minute"),
    "tokens": ("tokens_per_minute", "tokens per minute"),
    "streams": ("concurrent_streams", "streams at a time"),
}


def subjects(
    catalog: Catalog, key: KeyRow, center: str | None, *, is_stream: bool
) -> tuple[Subject, ...]:
    """Return who limits such calls of a key that are booked to a cost center; kept while it holds.

    Whoever limits streams only does not count a call that is none: it asks nobody.
    """
    found: tuple[Subject, ...] | None = catalog.limited.get((key.id, center, is_stream))
    if found is None:
        rows = catalog.row.limits
        found = tuple(
            subject
            for subject in (
                _subject(f"api_key:{key.id}", key),
                *(
                    _subject(f"cost_center:{center}", row)
                    for row in rows
                    if center is not None and row.cost_center_id == center
                ),
                *(_subject("organization", row) for row in rows if row.cost_center_id is None),
            )
            if subject[1:3] != (None, None) or (is_stream and subject.streams is not None)
        )
        catalog.limited[key.id, center, is_stream] = found
    return found


def tokens(asked: Asked, bounded: Bound) -> int:
    """Return what a call counts for until it has ended: its input, and the output it asked for."""
    if asked.is_free:
        return 0
    output = bounded.output_tokens
    if asked.max_output is None:
        output = min(output, UNSTATED)
    return bounded.input_tokens + output


async def take(limits: RateLimits, caller: Caller, plan: Plan) -> None:
    """Count a call against the limits that it has; raise RefusedError when one is exceeded."""
    center, is_stream = plan.reservation.cost_center_id, plan.asked.is_stream
    found = subjects(caller.catalog, caller.key, center, is_stream=is_stream)
    if not found:
        return
    plan.verdict = verdict = await limits.take(
        plan.organization_id,
        found,
        tokens=tokens(plan.asked, plan.bounded),
        is_stream=is_stream,
    )
    if not verdict.is_allowed:
        raise refusal(verdict, caller.catalog)
    plan.notes += verdict.headers()


async def ask(limits: RateLimits, caller: Caller, most: int | None) -> Headers:
    """Count a question that carries no call; raise RefusedError when its key asks too often."""
    subject = Subject(f"asks:{caller.key.id}", requests=most)
    organization = caller.key.organization_id
    verdict = await limits.take(organization, (subject,), tokens=0, is_stream=False)
    if verdict.is_allowed:
        return verdict.headers()
    raise RefusedError(
        "rate_limited",
        f"This API key may ask {most} times a minute; try again in {verdict.retry_after} s.",
        retry_after=verdict.retry_after,
        headers=verdict.headers(),
        limit={"scope": "api_key", "unit": "requests_per_minute", "limit": most},
    )


def hand_on(plan: Plan, renewed: Plan) -> None:
    """Let a plan that was made anew go on with what its first version counted for."""
    renewed.verdict = plan.verdict
    if plan.verdict is not None:
        renewed.notes += plan.verdict.headers()


def used(settlement: Settlement) -> int | None:
    """Return the tokens that a call used in the end; None where nobody knows."""
    if settlement.state == "uncertain":
        return None
    return sum(map(int, CLASSES(settlement)))


def end(limits: RateLimits, verdict: Verdict | None, used: int | None) -> None:
    """End what a call counts for: its stream, and the tokens that it did not use."""
    if verdict is not None:
        if used is not None:
            limits.settle(verdict, used)
        limits.end(verdict)


def refusal(verdict: Verdict, catalog: Catalog) -> RefusedError:
    """Return the refusal of a call that exceeds a limit, which it names."""
    subject = verdict.refuser
    scope, _, number = subject.name.partition(":")
    unit, words = UNITS[verdict.exceeded]
    limit = getattr(subject, verdict.exceeded)
    center = catalog.centers_by_id.get(number)
    whose = {
        "api_key": "this API key",
        "cost_center": f"the cost center {center.code if center else number!r}",
        "organization": "the organization",
    }[scope]
    return RefusedError(
        "rate_limited",
        f"The limit of {whose} is {limit} {words}; try again in {verdict.retry_after} s.",
        retry_after=verdict.retry_after,
        headers=verdict.headers(),
        limit={"scope": scope, "unit": unit, "limit": limit},
    )


def _subject(name: str, row: KeyRow | LimitRow) -> Subject:
    return Subject(name, row.requests_per_minute, row.tokens_per_minute, row.concurrent_streams)
