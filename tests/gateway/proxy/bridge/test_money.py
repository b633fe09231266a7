"""Reserving and settling go on, whatever one batch met."""

import asyncio
import uuid
from pathlib import Path

from gateway.proxy.bridge.journal import Journal
from gateway.proxy.bridge.money import Money, Settlement


async def test_settling_goes_on_after_a_fault(gateway_dsn: str, tmp_path: Path) -> None:
    worker = str(uuid.uuid4())
    money = Money(gateway_dsn, Journal(tmp_path, worker), worker)
    money.start()
    bad = Settlement(str(uuid.uuid4()), "released", usage={"never": object()})  # not JSON

    told = money._settles.put(bad)
    await asyncio.wait({told}, timeout=0.2)
    outcome, _ = await money._settles.submit(Settlement(str(uuid.uuid4()), "released"), 5)

    assert outcome == "noop"
    await money.stop(within=1)
