"""Only what is provably unbilled is repeated, and not at once."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.upstream import retry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", [429, 503])
def test_refusals_of_the_moment_cost_nothing(status: int) -> None:
    assert retry.is_unbilled(status)


@pytest.mark.parametrize("status", [200, 400, 401, 408, 500, 502, 504, 529])
def test_what_may_have_been_billed_is_never_repeated(status: int) -> None:
    assert not retry.is_unbilled(status)
    assert not retry.may_retry(1, is_free=False, targets=9)


def test_what_costs_nothing_is_repeated_a_few_times_and_at_every_target() -> None:
    assert retry.may_retry(retry.ATTEMPTS - 1, is_free=True)
    assert not retry.may_retry(retry.ATTEMPTS, is_free=True)
    assert retry.may_retry(retry.ATTEMPTS, is_free=True, targets=retry.ATTEMPTS + 1)


@given(st.integers(1, 10), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 10))
def test_the_wait_grows_is_spread_and_is_never_less_than_asked(
    attempt: int, chance: float, asked: float | None
) -> None:
    wait = retry.delay(attempt, chance=chance, asked=asked)

    assert wait is not None
    assert (asked or 0) <= wait <= max(asked or 0, retry.LONGEST)
    assert wait >= min(retry.LONGEST, retry.FIRST * 2 ** (attempt - 1)) / 2


def test_a_provider_that_asks_for_a_long_wait_is_left_to_the_client() -> None:
    assert retry.delay(1, chance=0.5, asked=30.0) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"0.5")], 0.5),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"3")], 0.25),
        ([(b"retry-after", b"Sun, 22 Nov 2026 12:00:07 GMT")], 7.0),
        ([(b"retry-after", b"Sun, 22 Nov 2026 11:00:00 GMT")], 0.0),
        ([(b"retry-after", b"Sun, 22 Nov 2026 12:00:07")], None),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"-1")], None),
        ([(b"retry-after", b"9" * 400)], None),
        ([], None),
    ],
)
def test_the_asked_wait_is_read_in_every_form(
    headers: list[tuple[bytes, bytes]], seconds: float | None
) -> None:
    assert retry.retry_after(headers, at=NOON) == seconds
