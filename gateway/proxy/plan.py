"""A call, decided: who pays, where it may go, what it can cost at most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.pricing import Rates
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.bill import Carried
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.protocols.wire import Asked, Format
from gateway.proxy.rate_limits.verdict import Verdict
from gateway.proxy.upstream.headers import Headers
from gateway.proxy.upstream.sending import Courier, Errand
from gateway.routes.targets import Target


@dataclass(frozen=True, slots=True)
class Fit:
    """What a call may be shortened for."""

    budgets: Mapping[str, int]  # that it may be fitted into, and how long each lets calls wait
    ceiling: Rates
    wait_ms: int  # the longest, for calls under way


@dataclass(slots=True)
class Plan:
    """What the pump carries out."""

    id: str
    ms: int
    organization_id: str
    asked: Asked
    format: Format
    targets: list[Target]
    bounded: Bound
    hold: Decimal
    is_hard: bool
    reservation: Reservation
    client: dict[bytes, bytes]
    strip: frozenset[str]
    center: str | None
    is_enriched: bool
    is_amount_hidden: bool
    max_output: int | None  # the limit to send, None leaves the client's own
    fit: Fit | None = None  # it may be shortened to what budgets have left
    verdict: Verdict | None = None  # of its rate limits
    elastic: Rates | None = None  # the hold begins small and grows at these rates
    cut_by: str = ""  # what is said of an answer that its budgets cut
    notes: Headers = field(default_factory=list)  # what its answer says beside

    def hides_output(self, target: Target) -> bool:
        """Tell whether billed output may stay invisible at a target."""
        return self.format.hides_reasoning(self.asked, target.model)

    def shown(self, remaining: str | None) -> str | None:
        """Return what is left of the budgets, where the key may see it."""
        is_hidden = remaining is None or self.is_amount_hidden
        return None if is_hidden else money.text(Decimal(remaining or 0))

    def errand(self, courier: Courier, on_send: Callable[[], None]) -> Errand:
        """Return what is to be sent, and where to."""
        return Errand(
            courier=courier,
            call=self.id,
            organization_id=self.organization_id,
            asked=self.asked,
            format=self.format,
            targets=self.targets,
            client=self.client,
            strip=self.strip,
            max_output=self.max_output,
            on_send=on_send,
            target=self.targets[0],
        )

    def carried(self, target: Target, columns: dict[str, Any]) -> Carried:
        """Return what the bill must know of the call besides its answer."""
        return Carried(
            call=self.id,
            at_ms=self.ms,
            hold=self.hold,
            target=target,
            price=target.price_at(self.ms),
            input_bound=self.bounded.input_tokens,
            output_bound=None if self.bounded.unbounded else self.bounded.output_tokens,
            hides_output=self.hides_output(target),
            is_free=self.asked.is_free,
            columns=columns,
            is_hard=self.is_hard,
            is_elastic=self.elastic is not None,
        )
