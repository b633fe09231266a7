"""The product as people meet it: `./run up`'s own processes, seeded by the demo, and a real Chromium."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.concurrency.processes import free_port
from tests.e2e.programs import house, llama, server  # noqa: F401  # fixtures

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 90.0
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Instance:
    """A running demo, as its demo.json describes it."""

    told: dict[str, Any]
    log: Path

    @property
    def url(self) -> str:
        """Return where it is."""
        return str(self.told["url"])

    def login(self, role: str) -> dict[str, str]:
        """Return the login of a role in the first organization."""
        ours = self.told["organization"]
        return next(
            entry
            for entry in self.told["logins"]
            if (entry["role"], entry["organization"]) == (role, ours)
        )


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """Bring up a demo of one's own, as `./run up` does, and take it down in order."""
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-e2e-"))
    folder.chmod(0o711)
    ours = (
        "DATABASE_URL",
        "REDIS_URL",
        "DJANGO_SETTINGS_MODULE",
        "SECRET_KEY",
        "TOLLKEEPER_",
        "CELERY_",
        "OWNER_",
        "PLATFORM_",
        "GATEWAY_",
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"PORT": str(free_port()), "TOLLKEEPER_VAR": str(folder), "TOLLKEEPER_DRAIN_S": "5"}
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.supervisor", "up"],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Instance(_wait_for(folder / "demo.json", process, log), log)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium; for one module, as Playwright keeps an event loop running meanwhile."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found: install the package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, instance: Instance) -> Iterator[Page]:
    """Open a page of its own; fail when the browser complained about anything, a broken policy included."""
    context = browser.new_context(
        base_url=instance.url, viewport={"width": 1440, "height": 1000}, locale="en-US"
    )
    context.set_default_timeout(15_000)
    opened = context.new_page()
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    opened.on("console", hear)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert not complaints


def _wait_for(told: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    until = time.monotonic() + START_S
    while not told.exists():
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"the demo does not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
    return dict(json.loads(told.read_text()))
