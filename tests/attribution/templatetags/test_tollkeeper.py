"""Amounts and instants as people read them, in three languages."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from attribution.templatetags import tollkeeper


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "1,234,567.80"), ("fr", "1\u202f234\u202f567,80"), ("zh-hans", "1,234,567.80")],
)
def test_an_amount_is_grouped_as_the_language_does(language: str, shown: str) -> None:
    with translation.override(language):
        assert tollkeeper.money(Decimal("1234567.8")).replace("\xa0", "\u202f") == shown


def test_a_rounded_amount_keeps_the_exact_one_in_its_title() -> None:
    shown = tollkeeper.money(Decimal("1234.56789"))

    assert shown == '<data value="1234.56789" title="1,234.56789">1,234.57</data>'


def test_a_cost_below_a_cent_has_six_decimals_and_zero_has_two() -> None:
    assert tollkeeper.money(Decimal("0.000123")) == "0.000123"
    assert tollkeeper.money(Decimal(0)) == "0.00"
    assert tollkeeper.money(Decimal("-0.000000000001")).endswith(">0.000000</data>")


def test_a_headline_is_compact_from_ten_thousand_on() -> None:
    assert tollkeeper.compact(Decimal("9999.99")) == "9,999.99"
    assert tollkeeper.compact(Decimal(12_412)) == "12.4\xa0k"
    assert tollkeeper.compact(Decimal(1_250_000)) == "1.2\xa0M"
    assert tollkeeper.compact(Decimal(-45_000)) == "-45.0\xa0k"


def test_unknown_is_a_dash_with_its_reason_and_never_zero() -> None:
    for filtered in (tollkeeper.money, tollkeeper.count, tollkeeper.percent, tollkeeper.when):
        shown = filtered(None)

        assert "data-hint=" in shown
        assert "\N{EM DASH}" in shown


def test_a_share_has_decimals_only_below_ten_percent() -> None:
    assert tollkeeper.share_text(Decimal("0.914")).startswith("91")
    assert tollkeeper.share_text(Decimal("0.0456")).startswith("4.6")
    assert tollkeeper.share_text(Decimal(0)).startswith("0\xa0")


def test_an_instant_is_of_the_organizations_zone_and_its_title_of_utc() -> None:
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        shown = tollkeeper.when(datetime(2026, 11, 22, 19, 0, tzinfo=UTC))

    assert "23 Nov 2026 00:30" in shown
    assert 'title="2026-11-22 19:00:00 UTC"' in shown


def test_a_name_cannot_become_markup() -> None:
    assert "<b>" not in tollkeeper.unknown("<b>")
