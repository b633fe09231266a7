"""A change is shared out to its causes, to the last decimal."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from attribution.insights.causes import Causes, Line, Usage, explain
from attribution.money import EXACT

MILLION = Decimal(1_000_000)
BEFORE = Usage(
    Decimal(100),
    {
        "input": Line.at(1 * MILLION, Decimal(2) / MILLION),
        "output": Line.at(MILLION / 2, Decimal(10) / MILLION),
    },
)
AFTER = Usage(
    Decimal(200),
    {
        "input": Line.at(2 * MILLION, Decimal(2) / MILLION),
        "output": Line.at(MILLION * 5 / 2, Decimal(8) / MILLION),
    },
)

amounts = st.decimals(0, 10**6, places=12)
lines = st.builds(Line, st.integers(0, 10**9).map(Decimal), amounts)
usages = st.builds(
    Usage,
    st.integers(0, 10**6).map(Decimal),
    st.dictionaries(st.sampled_from(["input", "cache_read", "output", "", "image"]), lines),
)
rates = st.decimals("0.0001", 1000, places=6)


def sum_of(causes: Causes) -> Decimal:
    """Return the sum of the parts, or the one line of new spend."""
    if causes.is_new:
        return causes.total
    total = Decimal(0)
    for part in causes.parts.values():
        total = EXACT.add(total, part)
    return total


def numbers(**texts: str) -> dict[str, Decimal]:
    """Return amounts by name."""
    return {name: Decimal(text) for name, text in texts.items()}


def test_the_example_of_the_books_comes_out_exactly() -> None:
    found = explain(BEFORE, AFTER)

    assert found.parts == numbers(volume="7", intensity="7", mix="8", price="-5", fx="0")
    assert found.fx == 0
    assert found.total == 17


def test_with_rates_the_five_parts_are_in_the_invoice_currency() -> None:
    found = explain(BEFORE, AFTER, rate_before=Decimal("7.1"), rate_after=Decimal("7.3"))

    assert found.volume == Decimal("49.7")
    assert found.intensity == Decimal("49.7")
    assert found.mix == Decimal("56.8")
    assert found.price == Decimal("-35.5")
    assert found.fx == Decimal("4.8")  # 24 times 0.2
    assert sum_of(found) == found.total == Decimal("125.5")  # 24 at 7.3 less 7 at 7.1


def test_nothing_before_is_one_line_of_new_spend() -> None:
    nothing = Usage(Decimal(0), {})

    assert explain(nothing, AFTER) == Causes(Decimal(24), is_new=True)
    assert explain(Usage(Decimal(0), BEFORE.lines), AFTER).is_new
    assert explain(Usage(Decimal(9), {"input": Line(MILLION, Decimal(0))}), AFTER).is_new


def test_a_class_that_is_new_changes_the_mix_and_not_the_price() -> None:
    before = Usage(Decimal(10), {"input": Line(Decimal(1000), Decimal(1))})
    after = Usage(
        Decimal(10),
        {
            "input": Line(Decimal(1000), Decimal(1)),
            "output": Line(Decimal(1000), Decimal(4)),
        },
    )

    found = explain(before, after)

    assert found.parts == numbers(volume="0", intensity="1", mix="3", price="0", fx="0")


def test_a_fee_without_quantity_is_a_quantity_of_credits() -> None:
    before = Usage(Decimal(1), {"": Line(Decimal(0), Decimal("0.02"))})
    after = Usage(Decimal(2), {"": Line(Decimal(0), Decimal("0.05"))})

    found = explain(before, after)

    assert found.price == 0
    assert sum_of(found) == Decimal("0.03")


def test_everything_gone_is_less_volume() -> None:
    found = explain(BEFORE, Usage(Decimal(0), {}))

    assert found.volume == found.total == -7
    assert sum_of(found) == -7


@given(usages, usages, rates, rates)
def test_the_parts_always_sum_to_the_change(
    before: Usage, after: Usage, rate_before: Decimal, rate_after: Decimal
) -> None:
    found = explain(before, after, rate_before=rate_before, rate_after=rate_after)

    was = EXACT.multiply(before.amount, rate_before)
    now = EXACT.multiply(after.amount, rate_after)
    assert sum_of(found) == EXACT.subtract(now, was)


@given(usages, usages)
def test_without_rates_nothing_is_left_to_exchange(before: Usage, after: Usage) -> None:
    found = explain(before, after)

    assert found.fx == 0
    assert sum_of(found) == EXACT.subtract(after.amount, before.amount)
