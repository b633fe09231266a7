"""The published list as dated rows: whole, exact, without gaps, and found as its makers find it."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, pairwise

import pytest
from genai_prices.data_snapshot import get_snapshot

from attribution.prices import pricing, published
from attribution.prices.matching import Catalogue
from attribution.prices.pricing import Card
from attribution.prices.rates import FEES
from attribution.prices.tokens import Tokens

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIST = published.read()


def catalogue(at: datetime = NOW) -> Catalogue[published.ListedPrice]:
    return Catalogue(price for price in LIST if price.is_effective(at))


def rate(model: str, at: str, *, tier: str | None = None) -> Decimal | None:
    """Return what a million uncached input tokens cost in a small call."""
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    found = catalogue(instant).find(model)
    assert found is not None
    card = Card.from_dict(found.rates)
    rates = pricing.rates_for(card, Tokens(input=1), at=instant, service_tier=tier)
    return rates.of("input") if rates else None


def test_every_model_of_the_list_is_there_and_every_card_can_be_read() -> None:
    listed = {(p.id, model.id) for p in get_snapshot().providers for model in p.models}

    rows = {(row.provider, row.model) for row in LIST}

    assert listed <= rows
    for row in LIST:
        assert Card.from_dict(row.rates).as_dict() == row.rates


def test_the_rows_of_a_model_follow_each_other_without_gap_or_overlap() -> None:
    for _, rows in groupby(LIST, key=lambda row: (row.provider, row.model)):
        history = list(rows)
        assert history[0].effective_from == published.BEGINNING
        assert history[-1].effective_to is None
        for one, following in pairwise(history):
            assert one.effective_from < following.effective_from == one.effective_to


def test_names_are_found_where_the_makers_of_the_list_find_them() -> None:
    snapshot, ours = get_snapshot(), catalogue()
    for provider in snapshot.providers:
        for model in provider.models:
            for name in (model.id, f"{model.id}-20250101", f"{model.id}-latest"):
                try:
                    _, theirs = snapshot.find_provider_model(name, None, provider.id, None)
                except LookupError:
                    continue
                found = ours.find(name, provider.id)
                assert found is not None
                assert found.model == theirs.id or name == "mistral-large-latest"


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("claude-sonnet-4.5", "anthropic", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5"),
        ("gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("deepseek-v3.2", "deepseek", "deepseek-v3.2"),
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("claude-3-5-sonnet-20241022", "anthropic", "claude-3-5-sonnet"),
        ("demo", "demo", "demo"),
    ],
)
def test_the_names_that_people_use_resolve(name: str, provider: str, model: str) -> None:
    found = catalogue().find(name)

    assert found is not None
    assert (found.provider, found.model) == (provider, model)


def test_an_unknown_model_has_no_price() -> None:
    assert catalogue().find("gpt-4o-mini", "anthropic") is None
    assert catalogue().find("llama-of-my-own") is None


@pytest.mark.parametrize(
    ("model", "at", "expected"),
    [
        ("o3", "2025-06-09T23:59", "10"),
        ("o3", "2025-06-10T00:00", "2"),
        ("deepseek-chat", "2025-02-10T18:00", "0.27"),  # the off-peak price did not exist yet
        ("deepseek-chat", "2025-07-15T18:00", "0.135"),
        ("deepseek-chat", "2025-07-15T12:00", "0.27"),
        ("deepseek-chat", "2025-10-15T18:00", "0.27"),  # and does not exist any more
        ("deepseek-v4-flash", "2026-06-08T02:00", "0.14"),  # peak hours do not reach back
        ("deepseek-v4-pro", "2026-08-16T15:59", "0.435"),
        ("deepseek-v4-pro", "2026-08-16T16:00", "0.66"),
        ("deepseek-v4-pro", "2026-11-20T02:00", "1.32"),
        ("deepseek-v4-pro", "2026-11-21T02:00", "0.66"),  # a Saturday
        ("mistral-large-latest", "2024-12-01T00:00", "2"),
        ("mistral-large-latest", "2026-01-01T00:00", "0.5"),
    ],
)
def test_the_price_is_the_one_of_the_time(model: str, at: str, expected: str) -> None:
    assert rate(model, at) == Decimal(expected)


def test_a_tier_holds_since_its_launch_and_beside_no_other_standard_price() -> None:
    assert rate("gpt-5", "2025-11-23T15:05", tier="priority") == Decimal("2.5")
    assert rate("o3", "2026-11-01T00:00", tier="flex") == Decimal(1)
    assert rate("o3", "2025-05-01T00:00", tier="flex") is None  # standard cost five times as much
    assert rate("gpt-5", "2025-11-23T15:05", tier="unheard-of") is None


def test_finer_rates_are_rounded_half_even_to_what_is_exact() -> None:
    finest = [
        Decimal(stated)
        for row in LIST
        for name, stated in row.rates["base"].items()
        if stated is not None and name not in FEES
    ]

    assert all(rate == rate.quantize(Decimal("0.000001")) for rate in finest)
    assert Decimal("0.083333") in finest  # the list says 0.08333333333333334


def test_audio_that_is_billed_by_time_has_no_price_per_token() -> None:
    found = catalogue().find("whisper-1")

    assert found is not None
    assert Card.from_dict(found.rates).standard.base.of("audio_input") is None
