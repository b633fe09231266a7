"""Gauges: levels with their words, and bars that never leave their track."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.forecasts.models import Status
from budgets.forecasts.outlooks import Outlook
from budgets.limits.standing import Standing
from budgets.overview import gauges
from budgets.overview.finding import sentence
from budgets.overview.gauges import Gauge

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=12)


def gauge(
    name: str = "RND",
    *,
    limit: str = "2000",
    spent: str = "0",
    held: str = "0",
    uncertain: str = "0",
    scope: str = "cost_center",
    kind: str = "month",
) -> Gauge:
    figures = Standing(
        period_id=1,
        budget_id=uuid4(),
        enforcement="block",
        starts_at=datetime(2026, 11, 1, tzinfo=UTC),
        ends_at=datetime(2026, 12, 1, tzinfo=UTC),
        limit=Decimal(limit),
        spent=Decimal(spent),
        held=Decimal(held),
        uncertain=Decimal(uncertain),
    )
    return Gauge(name, scope, kind, figures)


@pytest.mark.parametrize(
    ("spent", "level", "word"),
    [
        ("999.99", "good", "on track"),
        ("1000", "warn", "watch"),
        ("1599.99", "warn", "watch"),
        ("1600", "bad", "nearly used up"),
        ("2000", "bad", "used up"),
        ("2500", "bad", "used up"),
    ],
)
def test_a_level_always_comes_with_a_word(spent: str, level: str, word: str) -> None:
    one = gauge(spent=spent)

    assert (one.level, one.word) == (level, word)


def test_a_limit_of_nothing_is_used_up_and_has_no_share() -> None:
    one = gauge(limit="0")

    assert (one.share, one.word) == (None, "used up")


@given(limit=AMOUNTS, spent=AMOUNTS, held=AMOUNTS, uncertain=AMOUNTS)
def test_a_bar_stays_in_its_track(
    limit: Decimal, spent: Decimal, held: Decimal, uncertain: Decimal
) -> None:
    one = gauge(limit=str(limit), spent=str(spent), held=str(held), uncertain=str(uncertain))

    widths = [
        Decimal(w.removesuffix("%")) for w in (one.spent_width, one.held_width, one.uncertain_width)
    ]
    assert all(width >= 0 for width in widths)
    assert sum(widths) <= 100


def test_the_month_is_one_budget_or_those_of_the_cost_centers_added_up() -> None:
    centers = [
        gauge(limit="2000", spent="10"),
        gauge("SALES", limit="1000", spent="20"),
        gauge(limit="7", kind="day"),
    ]
    whole = gauge("Company", limit="2500", scope="organization")

    added = gauges.together(centers)

    assert added is not None
    assert (added.standing.limit, added.standing.spent) == (Decimal(3000), Decimal(30))
    assert gauges.together([*centers, whole]) is whole
    assert gauges.together([]) is None


def test_the_running_day_counts_among_the_days_left() -> None:
    one = gauge()

    assert one.days_left(NOW) == 9
    assert one.days_left(one.standing.ends_at - timedelta(seconds=1)) == 1
    assert one.days_left(one.standing.ends_at) == 0


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        ([], "12.50 USD spent in November 2026; no budget limits it yet."),
        ([gauge(spent="1820")], "RND has used 91\xa0% of 2,000.00 USD, with 9 days left."),
        ([gauge(spent="2100")], "RND is used up: 2,100.00 of 2,000.00 USD, with 9 days left."),
        (
            [gauge(spent="100"), gauge("SALES", spent="700")],
            "All 2 budgets are below 80 %; SALES leads with 35\xa0%, with 9 days left.",
        ),
        (
            [gauge(spent="100")],
            "1 budget runs, below 80 %: RND has used 5.0\xa0%, with 9 days left.",
        ),
    ],
)
def test_the_headline_states_what_is_the_matter(budgets: list[Gauge], expected: str) -> None:
    assert sentence(budgets, month="November 2026", spent=Decimal("12.5"), at=NOW) == expected


def foreseen(p50: str, *, spent: str = "600", name: str = "RND", **more: object) -> Gauge:
    one = gauge(name, spent=spent)
    outlook = Outlook(one.standing, "warning", Status.READY, p50=Decimal(p50), **more)  # type: ignore[arg-type]  # as the outlook takes them
    return replace(one, outlook=outlook)


def test_the_sentence_says_what_is_coming_while_nothing_is_near_its_limit() -> None:
    over = foreseen("2310", name="SALES", exhausted_on=date(2026, 11, 27))
    calm = foreseen("1500", spent="1400")

    text = said([calm, over])

    assert text == (
        "SALES has used 30 % of 2,000.00 USD; forecast 2,310.00 USD, 16 % over, used up on 27 Nov 2026."
    )


def test_a_full_budget_says_its_forecast_too() -> None:
    text = said([foreseen("2310", spent="1820", exhausted_on=date(2026, 11, 27))])

    assert text == (
        "RND has used 91 % of 2,000.00 USD, with 9 days left;"
        " forecast 2,310.00 USD, 16 % over, used up on 27 Nov 2026."
    )


def test_a_forecast_within_the_limit_keeps_the_sentence_calm() -> None:
    text = said([foreseen("1900"), gauge("SALES", spent="100")])

    assert text == "All 2 budgets are below 80 %; RND leads with 30 %, with 9 days left."


def test_the_forecast_stands_on_the_bar_and_never_beyond_it() -> None:
    assert foreseen("1000").forecast_place == "50.00%"
    assert foreseen("9000").forecast_place == "100.00%"
    assert gauge().forecast_place == ""


def test_what_will_not_last_is_not_on_track() -> None:
    coming, fine, late = foreseen("2310"), foreseen("2000"), foreseen("2310", spent="1700")

    assert (coming.level, coming.word_level, coming.word) == (
        "good",
        "warn",
        "forecast over the limit",
    )
    assert (fine.word_level, fine.word) == ("good", "on track")
    assert (late.word_level, late.word) == ("bad", "nearly used up")


def test_forecasts_add_up_and_their_intervals_do_not() -> None:
    parts = [
        foreseen("1000", p10=Decimal(900), p90=Decimal(1100)),
        foreseen("300.5", name="SALES"),
    ]

    together = gauges.together(parts)

    assert together
    assert together.forecast
    assert (together.forecast.p50, together.forecast.p10) == (Decimal("1300.5"), None)
    unknown = gauges.together([*parts, gauge("OPS")])
    assert unknown
    assert unknown.forecast is None


def said(found: list[Gauge]) -> str:
    return (
        sentence(found, month="November 2026", spent=Decimal(0), at=NOW)
        .replace("\xa0", " ")
        .replace("\u202f", " ")
    )
