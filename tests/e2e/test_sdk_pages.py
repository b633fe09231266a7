"""The snippets of docs/sdk, run as they stand but for address and key."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from attribution.isolation.transaction import tenant
from tests.concurrency.processes import rows
from tests.e2e.programs import House

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("committed")]

PAGES = Path(__file__).resolve().parents[2] / "docs/sdk"
IN_PYTHON = ("openai", "anthropic", "google-genai")
SAID = "http://127.0.0.1:8000", "tk_live_…"
PATIENCE_S = 60
AGENTS = """
import anthropic, openai
from google import genai
from google.genai import types

said = [{"role": "user", "content": "from the environment"}]
with openai.OpenAI() as client:
    client.chat.completions.create(model="demo", max_tokens=5, messages=said)
with anthropic.Anthropic() as client:
    client.messages.create(model="demo", max_tokens=6, messages=said)
client = genai.Client()
client.models.generate_content(
    model="demo", contents="hi", config=types.GenerateContentConfig(max_output_tokens=7)
)
client.close()
"""


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in one language."""
    text = (PAGES / f"{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def script(page: str, language: str, house: House) -> str:
    """Return the blocks of a page as one program that calls this house."""
    whole = "\n".join(blocks(page, language))
    assert all(word in whole for word in SAID), "the page names address and key"
    for word, ours in zip(SAID, (house.url, house.world.token), strict=True):
        whole = whole.replace(word, ours)
    return whole


def run(*command: str) -> str:
    """Run a program without anybody's settings; return what it printed."""
    ours = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "PYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(  # noqa: S603 -- our own documents
        command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def booked(house: House, column: str) -> list[str]:
    """Return a column of the settled calls of this house, oldest first."""
    with tenant(house.world.organization_id):
        found = rows(
            f"SELECT {column} FROM v1_calls WHERE state = 'settled' ORDER BY occurred_at"  # noqa: S608 -- our columns
        )
    return [str(value) for (value,) in found]


@pytest.mark.parametrize("page", IN_PYTHON)
def test_the_snippets_in_python_run(page: str, house: House) -> None:
    before = len(booked(house, "call_id"))

    printed = run(sys.executable, "-W", "error", "-c", script(page, "python", house))

    assert "unknown_model" in printed
    assert len(booked(house, "call_id")) - before >= 3
    assert {"support-chat"} == set(booked(house, "feature")[before:])
    assert "ada" in booked(house, "user_id")[before:]


def test_the_snippets_of_curl_run(house: House) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl found")
    before = len(booked(house, "call_id"))

    printed = run("/bin/sh", "-euc", script("curl", "sh", house))

    assert set(booked(house, "wire_format")[before:]) == {
        *("openai_chat", "openai_responses", "openai_embeddings"),
        *("anthropic_messages", "gemini_generate"),
    }
    assert "x-cost-usd:" in printed.lower()
    assert '"cost_usd"' in printed
    assert '"upper_bound_usd"' in printed
    assert '"error":{' not in printed


def test_the_environment_of_agents_is_understood_by_every_sdk(house: House) -> None:
    before = len(booked(house, "call_id"))

    run(
        "/bin/sh", "-euc", f"{script('coding-agents', 'sh', house)}\n{sys.executable} -c '{AGENTS}'"
    )

    assert booked(house, "output_tokens")[before:] == ["5", "6", "7"]
    assert booked(house, "user_id")[before:] == ["", "ada", ""]


def test_the_file_of_codex_is_one() -> None:
    (text,) = blocks("coding-agents", "toml")

    found = tomllib.loads(text)

    provider = found["model_providers"][found["model_provider"]]
    assert provider["base_url"] == f"{SAID[0]}/v1"
    assert provider["wire_api"] == "responses"


def test_every_page_is_tested() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*IN_PYTHON, "curl", "coding-agents"}
