"""The gateway's rows become listings: versions together, found by name, discounted."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attribution.prices import listings

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def row(version: int, rate: str, start: datetime, end: datetime | None) -> dict[str, Any]:
    return {
        "version": version,
        "provider": "openai",
        "model": "gpt-x",
        "match": {"provider_pattern": "^gpt-", "names": [f"gpt-x-{version}"]},
        "rates": {"base": {"input": rate, "output": "1"}},
        "currency": "USD",
        "context_window": 1000 * version,
        "max_output_tokens": None,
        "from_ms": round(start.timestamp() * 1000),
        "to_ms": None if end is None else round(end.timestamp() * 1000),
    }


ROWS = [row(2, "3", APRIL, None), row(1, "2", MARCH, APRIL)]


def test_the_versions_of_a_model_are_one_listing_and_time_chooses() -> None:
    found = listings.read(ROWS).find("gpt-x-2")

    assert found is not None
    assert (found.context_window, found.currency) == (2000, "USD")
    versions = [found.at(at) for at in (datetime(2026, 2, 1, tzinfo=UTC), MARCH, APRIL)]
    assert [version and version.version for version in versions] == [None, 1, 2]


def test_an_upstreams_multiplier_is_in_every_version() -> None:
    found = listings.read(ROWS).find("gpt-x")
    assert found is not None

    halved = found.multiplied(Decimal("0.5"))

    rates = [version.card.standard.base.of("input") for version in halved.versions]
    assert rates == [Decimal(1), Decimal("1.5")]
    assert found.multiplied(Decimal(1)) is found


def test_a_price_in_another_currency_is_not_taken_for_dollars() -> None:
    yuan = row(3, "20", APRIL, None) | {"currency": "CNY", "model": "qwen-x"}

    assert listings.read([yuan]).find("qwen-x", "openai") is None
