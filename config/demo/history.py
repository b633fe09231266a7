"""Plausible calls of the past for the demo: seeded, so that the same day gives the same history."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from attribution.prices.tokens import Tokens
from budgets.reservations.ingest import Event

DAYS = 90
SEED = 20251
# share of a day's calls per hour of the local day: office hours with a dip at noon
RHYTHM = (1, 1, 1, 1, 1, 2, 6, 16, 40, 62, 66, 58, 38, 52, 64, 62, 54, 38, 20, 11, 7, 5, 3, 2)
WEEKEND = 0.18
GROWTH = 0.35  # more calls at the end than at the beginning
# milliseconds to the first byte, and per token written
PACE = {"gpt-4o-mini": (320, 3.0), "gemini-2.5-flash": (280, 2.0), "deepseek-v3.2": (900, 8.0)}
USUAL_PACE = (620, 6.0)
CONTEXT = {
    "gpt-4.1": 900_000,
    "gemini-2.5-flash": 900_000,
    "claude-sonnet-4.5": 195_000,
    "claude-opus-4-1": 195_000,
}
USUAL_CONTEXT = 120_000
SLOW_DAY = 17  # days ago: a provider was slow
BURST_DAY = 11  # days ago: one person's agents ran all night
RUNAWAY_DAY, RUNAWAY_HOUR, RUNAWAY_CALLS = 1, 21, 30  # days ago: an agent went on by itself


@dataclass(frozen=True, slots=True)
class Work:
    """What a feature sends: model, mean tokens, and its share of the cost center's calls."""

    feature: str
    path: str
    provider: str
    model: str
    read: int
    written: int
    share: int
    cached: float = 0.0
    reasoning: float = 0.0


@dataclass(frozen=True, slots=True)
class Team:
    """A cost center's people and work; `daily` calls on a weekday."""

    cost_center: str
    daily: int
    people: tuple[str, ...]
    work: tuple[Work, ...]
    environment: str = "production"


def acme(domain: str) -> tuple[Team, ...]:
    """Return the teams of the first organization."""

    return (
        Team("MARKETING", 18, _people(domain, "clara hugo ines leo nora paul rosa"), _MARKETING),
        Team("SALES", 20, _people(domain, "adam bella cyril dora emil fanny gus"), _SALES),
        Team(
            "SUPPORT", 32, _people(domain, "amir beth carlos dina elena farid greta hana"), _SUPPORT
        ),
        Team("RND", 38, _people(domain, "ada alan barbara dennis edsger grace ken linus"), _RND),
        Team("DEFAULT", 6, _people(domain, "intern scripts nightly"), _DEFAULT, "staging"),
    )


def northwind(domain: str) -> tuple[Team, ...]:
    """Return the one team of the second organization."""
    return (Team("LAB", 8, _people(domain, "olga peter quentin"), _LAB),)


_MARKETING = (
    Work("campaign-copy", "/campaigns/draft", "openai", "gpt-4.1", 150_000, 1_400, 5, 0.3),
    Work("seo-briefs", "/seo/brief", "google", "gemini-2.5-flash", 150_000, 1_500, 3),
    Work("translations", "/translate", "openai", "gpt-4o-mini", 14_000, 3_000, 3),
    Work("brand-review", "/brand/review", "anthropic", "claude-opus-4-1", 150_000, 2_000, 4, 0.3),
)
_SALES = (
    Work("lead-research", "/leads/research", "openai", "gpt-4.1", 560_000, 2_500, 5, 0.2),
    Work("email-drafts", "/mail/draft", "openai", "gpt-4o-mini", 6_000, 700, 6),
    Work("call-summaries", "/calls/summary", "google", "gemini-2.5-flash", 60_000, 900, 4),
    Work("proposals", "/proposals", "anthropic", "claude-opus-4-1", 170_000, 3_000, 6, 0.3),
)
_SUPPORT = (
    Work("ticket-triage", "/tickets/triage", "openai", "gpt-4o-mini", 9_000, 300, 8, 0.5),
    Work(
        "answer-drafts",
        "/tickets/answer",
        "anthropic",
        "claude-sonnet-4.5",
        150_000,
        1_300,
        6,
        0.45,
    ),
    Work("kb-search", "/kb/search", "google", "gemini-2.5-flash", 40_000, 900, 6),
    Work(
        "escalations", "/tickets/escalate", "anthropic", "claude-opus-4-1", 170_000, 1_500, 5, 0.3
    ),
)
_RND = (
    Work("code-review", "/review", "anthropic", "claude-opus-4-1", 170_000, 2_400, 7, 0.4),
    Work("agent-runs", "/agents/run", "anthropic", "claude-opus-4-1", 190_000, 5_000, 4, 0.25),
    Work("test-generation", "/tests", "deepseek", "deepseek-v3.2", 80_000, 4_000, 5, 0.3, 0.4),
    Work("doc-search", "/docs/search", "openai", "gpt-4o-mini", 24_000, 800, 4),
)
_DEFAULT = (
    Work("", "/", "openai", "gpt-4.1", 160_000, 1_000, 5),
    Work("nightly-report", "/reports/nightly", "google", "gemini-2.5-flash", 110_000, 1_500, 4),
    Work("prototype", "/prototype", "acme", "acme-llama-70b", 8_000, 900, 1),  # in no price list
)
_LAB = (
    Work("paper-search", "/papers", "openai", "gpt-4.1", 90_000, 900, 3),
    Work("lab-notes", "/notes", "anthropic", "claude-sonnet-4.5", 20_000, 1_500, 2),
)


def calls(teams: tuple[Team, ...], zone: ZoneInfo, *, until: datetime) -> Iterator[Event]:
    """Yield the calls of the 90 days before `until`, day by day, each with a name of its own."""
    today = until.astimezone(zone).date()
    for age in range(DAYS - 1, -1, -1):
        for team in teams:
            day = today - timedelta(days=age)
            random = Random(f"{SEED} {team.cost_center} {day}")  # noqa: S311 -- a story, no secret
            yield from _day(team, day, age, random, zone, until)


def _day(
    team: Team, day: date, age: int, random: Random, zone: ZoneInfo, until: datetime
) -> Iterator[Event]:
    times = sorted(_moments(team, day, age, random, zone))
    for number, at in enumerate(times):
        work = random.choices(team.work, [work.share for work in team.work])[0]
        event = _call(team, work, at, f"{day}/{team.cost_center}/{number}", age, random)
        if at < until:
            yield event
    if age == RUNAWAY_DAY and team.cost_center == "RND":
        yield from _runaway(team, day, zone)


def _runaway(team: Team, day: date, zone: ZoneInfo) -> Iterator[Event]:
    """Yield the calls of an agent that nobody stopped for an hour."""
    random = Random(f"{SEED} runaway {day}")  # noqa: S311 -- a story, no secret
    work = next(work for work in team.work if work.feature == "agent-runs")
    start = datetime.combine(day, time(RUNAWAY_HOUR), zone).astimezone(UTC)
    for number in range(RUNAWAY_CALLS):
        at = start + timedelta(minutes=2 * number)
        name = f"{day}/{team.cost_center}/runaway/{number}"
        yield _call(team, work, at, name, RUNAWAY_DAY, random)


def _moments(team: Team, day: date, age: int, random: Random, zone: ZoneInfo) -> list[datetime]:
    share = WEEKEND if day.weekday() >= 5 else 1.0
    mean = team.daily * share * (1 + GROWTH * (1 - age / DAYS)) * random.uniform(0.8, 1.2)
    if age == BURST_DAY and team.cost_center == "RND":
        mean += 60
    hours = random.choices(range(24), RHYTHM, k=max(1, round(mean)))
    midnight = datetime.combine(day, time.min, zone)
    return [
        (midnight.replace(hour=hour) + timedelta(seconds=random.uniform(0, 3600))).astimezone(UTC)
        for hour in hours
    ]


def _call(team: Team, work: Work, at: datetime, name: str, age: int, random: Random) -> Event:
    # the first people of a team do most of its work
    person = random.choices(team.people, [3 / (n + 2) for n in range(len(team.people))])[0]
    has_failed = random.random() < 0.012
    tokens = Tokens() if has_failed else _tokens(work, random)
    first, total = _latency(work, tokens, age, random)
    columns = {
        "user_id": person,
        "path": work.path,
        "feature": work.feature,
        "session_id": f"s-{random.randrange(16**8):08x}",
        "environment": team.environment,
        "prompt_name": f"{work.feature}-v{1 + (age < 40)}" if work.feature else "",
        "prompt_fp": hashlib.sha256(f"{work.feature} {age < 40}".encode()).hexdigest()[:32],
        "wire_format": "openai_chat",
        "is_stream": random.random() < 0.6,
        "http_status": 503 if has_failed else 200,
        "error_code": "upstream_error" if has_failed else "",
        "first_byte_ms": first,
        "total_ms": total,
    }
    return Event(
        "demo",
        name,
        at,
        work.model,
        work.provider,
        tokens,
        cost_center=team.cost_center,
        columns=columns,
    )


def _tokens(work: Work, random: Random) -> Tokens:
    read = min(_around(work.read, random), CONTEXT.get(work.model, USUAL_CONTEXT))
    written = _around(work.written, random)
    cached = int(read * work.cached * random.random() * 1.5) if work.cached else 0
    reasoning = int(written * work.reasoning)
    return Tokens(
        input=read - min(cached, read),
        cache_read=min(cached, read),
        output=written - reasoning,
        reasoning=reasoning,
    )


def _latency(work: Work, tokens: Tokens, age: int, random: Random) -> tuple[int, int]:
    start, pace = PACE.get(work.model, USUAL_PACE)
    slow = 4.0 if age == SLOW_DAY and work.provider == "openai" else 1.0
    noise = math.exp(random.gauss(0, 0.35)) * slow
    first = start * noise + tokens.input_total * 0.004
    return round(first), round(first + tokens.output_total * pace * noise)


def _around(mean: int, random: Random) -> int:
    """Draw a whole number with a long tail around `mean`."""
    return max(1, int(mean * math.exp(random.gauss(-0.32, 0.8))))


def _people(domain: str, names: str) -> tuple[str, ...]:
    return tuple(f"{name}@{domain}" for name in names.split())
