"""The story of one call, from its bytes to the pump that carries it."""

import os

from gateway.proxy import answer, planning, throttle
from gateway.proxy.incoming import Gateway, Incoming
from gateway.proxy.plan import Plan
from gateway.proxy.protocols.wire import Format
from gateway.proxy.pump import Pump


async def begin(gateway: Gateway, incoming: Incoming, form: Format) -> Pump:
    """Understand a call, decide what it may cost, and start its pump."""
    asked = form.parse_request(incoming.body, incoming.path or {})
    first = await planning.plan(gateway, incoming, form, asked, incoming.caller)
    await throttle.take(gateway.limits, incoming.caller, first)

    async def renew() -> Plan:
        fresh = await gateway.callers.of(incoming.token, is_stale=True)
        try:
            renewed = await planning.plan(gateway, incoming, form, asked, fresh)
        except ValueError as error:
            raise answer.as_refusal(error) from error
        throttle.hand_on(first, renewed)
        return renewed

    return gateway.pumps.start(first, renew)


def mint(ms: int) -> str:
    """Return a UUIDv7 of an instant in milliseconds."""
    rest = int.from_bytes(os.urandom(10), "big")
    number = ms << 80 | 0x7 << 76 | (rest >> 68) << 64 | 0x2 << 62 | rest & (1 << 62) - 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
