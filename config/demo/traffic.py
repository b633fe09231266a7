"""Live calls for the demo: sends them through the gateway as programs do, so that charts move."""

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from config.demo import history
from config.demo.history import Team, Work

WORKERS = 8
PATIENCE_S = 30.0
QUESTIONS = (
    "Summarise the last ten tickets of this customer.",
    "Draft three subject lines for the autumn campaign.",
    "Which tests are missing for this module?",
    "Translate the release notes into French and Chinese.",
    "What did we promise this lead last quarter?",
)

Report = Callable[[str], None]


def send(
    told: Mapping[str, Any], *, per_second: float, seconds: float | None, report: Report
) -> None:
    """Send calls to the instance that `told` describes, evenly; without `seconds`, until interrupted."""
    limits = httpx.Limits(max_connections=WORKERS)
    headers = {"Authorization": f"Bearer {told['api_key']}"}
    dice = random.Random()  # noqa: S311 -- a story, no secret
    ends = None if seconds is None else time.monotonic() + seconds
    with (
        httpx.Client(
            base_url=told["gateway_url"], headers=headers, limits=limits, timeout=PATIENCE_S
        ) as client,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        while ends is None or time.monotonic() < ends:
            pool.submit(_call, client, dice.random(), report)
            time.sleep(1 / per_second)


def _call(client: httpx.Client, seed: float, report: Report) -> None:
    dice = random.Random(seed)  # noqa: S311 -- a story, no secret
    teams = history.acme("acme.example")
    team = dice.choices(teams, [team.daily for team in teams])[0]
    work = dice.choice(team.work)
    path, body = asked(dice)
    started = time.monotonic()
    try:
        answer = client.post(path, json=body, headers=_dimensions(team, work, dice))
    except httpx.HTTPError as error:
        report(f"{team.cost_center:<10} {type(error).__name__}: {error}")
        return
    cost = answer.headers.get("x-cost-usd", "none" if answer.is_error else "in the stream")
    took = (time.monotonic() - started) * 1000
    report(f"{team.cost_center:<10} {answer.status_code}  cost {cost}  {took:.0f} ms")


def asked(dice: random.Random) -> tuple[str, dict[str, Any]]:
    """Return the path and body of one call, in any wire format: most programs chat."""
    text, limit = dice.choice(QUESTIONS), dice.randint(16, 160)
    form = dice.choices(("chat", "messages", "responses", "gemini"), (70, 14, 8, 8))[0]
    is_stream = dice.random() < 0.5
    if form == "gemini":
        method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": text}]}]
        config = {"maxOutputTokens": limit}
        return f"/v1beta/models/demo:{method}", {"contents": contents, "generationConfig": config}
    body: dict[str, Any] = {"model": "demo", "stream": is_stream}
    if form == "responses":
        return "/v1/responses", {**body, "input": text, "max_output_tokens": limit}
    body |= {"max_tokens": limit, "messages": [{"role": "user", "content": text}]}
    return ("/v1/messages" if form == "messages" else "/v1/chat/completions"), body


def _dimensions(team: Team, work: Work, dice: random.Random) -> dict[str, str]:
    return {
        "X-Cost-Center": team.cost_center,
        "X-User-ID": dice.choice(team.people),
        "X-Feature": work.feature or "ad-hoc",
        "X-Request-Path": work.path,
        "X-Environment": team.environment,
        "X-Prompt-Name": f"{work.feature}-v2" if work.feature else "ad-hoc",
    }
