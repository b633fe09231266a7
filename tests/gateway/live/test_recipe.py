"""The program of the recipe does what the recipe says."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

from gateway.live.stream import PATH
from tests.gateway.live.listening import Station, until

RECIPE = Path(__file__).resolve().parents[3] / "docs/recipes/live-stream.md"


def program(station: Station) -> dict[str, Any]:
    """Return what the recipe's program defines, pointed at a running stream."""
    found = re.search(r"```python\n(.*?)```", RECIPE.read_text(), re.DOTALL)
    assert found
    code = found[1].replace("asyncio.run(main())\n", "")
    told: dict[str, Any] = {}
    exec(code, told)  # noqa: S102 -- our own document
    told["URL"] = f"{station.url.replace('http', 'ws', 1)}{PATH}"
    return told


async def test_it_prints_unusual_calls_of_its_cost_center(
    station: Station, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLKEEPER_KEY", station.house.token)
    running = asyncio.create_task(program(station)["main"]())
    await until(lambda: station.live.subscription.readers_of(str(station.house.id)))

    station.settle(request_id="usual")
    station.settle(request_id="elsewhere", cost_center="OPS", cost_usd="3")
    station.settle(request_id="unusual", cost_usd="0.25")
    shown = ""
    for _ in range(100):
        shown += capsys.readouterr().out
        if shown:
            break
        await asyncio.sleep(0.05)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert shown == "ada small 0.25 unusual\n"


async def test_it_ends_when_its_key_is_not_valid(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLKEEPER_KEY", "tk_live_no")

    with pytest.raises(ConnectionClosedError, match="4401"):
        async with asyncio.timeout(10):
            await program(station)["main"]()
