"""The commands of the recipes, run as they stand there."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone

from tests import factories
from tests.config.whole import whole_app
from tests.gateway.running import aside, make_house

DOCS = Path(__file__).resolve().parents[2] / "docs"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def commands(page: str) -> list[str]:
    """Return the shell commands of a page."""
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run(command: str, environment: dict[str, str]) -> dict[str, object]:
    """Run a command and return the JSON that it prints."""
    done = subprocess.run(  # noqa: S603 -- a command of our own documents
        ["/bin/sh", "-c", command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


@needs_curl
async def test_calls_made_elsewhere_are_reported_as_the_recipe_says(
    committed: None, gateway_dsn: str
) -> None:
    house = await aside(make_house, kind="demo", base_url="")
    await house.make(factories.make_price, model="gpt-4o-mini")
    one, many = commands("recipes/report-calls-made-elsewhere.md")

    async with whole_app(house, gateway_dsn) as url:
        when = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
        environment = {"TOLLKEEPER_URL": url, "TOLLKEEPER_KEY": house.token, "WHEN": when}
        told = [await asyncio.to_thread(run, text, environment) for text in (one, one, many)]

    first, again, batch = told
    assert (first["recorded"], again["duplicate"]) == (1, 1)
    assert [batch[name] for name in ("recorded", "rejected")] == [2, 1]
