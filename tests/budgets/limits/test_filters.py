"""Which calls of its scope a budget counts, in Python and in SQL alike."""

import json

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.limits import filters
from budgets.limits.filters import FIELDS, FilterError

WORDS = st.sampled_from(["", "a", "b", "c"])
GIVEN = st.dictionaries(
    st.sampled_from(FIELDS), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1), max_size=4
)


def test_filters_are_kept_sorted_and_once() -> None:
    kept = filters.checked({"models": ["b", "a", "b"], "environments": ("prod",)})

    assert kept == {"models": ["a", "b"], "environments": ["prod"]}
    assert filters.checked({}) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"model": ["a"]},
        {"models": []},
        {"models": "a"},
        {"models": [""]},
        {"models": [1]},
        {"models": ["x" * 257]},
        {"features": None},
        {"providers": [str(n) for n in range(101)]},
    ],
)
def test_what_no_call_is_measured_by_is_refused(wrong: object) -> None:
    with pytest.raises(FilterError):
        filters.checked(wrong)


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(FilterError, match="unknown filter: tags, upstreams"):
        filters.checked({"upstreams": ["a"], "models": ["a"], "tags": ["a"]})


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(GIVEN, WORDS, st.lists(WORDS, min_size=1, max_size=2), WORDS, WORDS)
def test_sql_and_python_say_the_same(
    chosen: dict[str, list[str]], provider: str, models: list[str], feature: str, environment: str
) -> None:
    kept = filters.checked(chosen)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT budgets_matches(nullif(%s::jsonb, '{}'), nullif(%s, ''), %s, %s, %s)",
            [json.dumps(kept), provider, models, feature, environment],
        )
        (is_counted,) = cursor.fetchone()

    said = filters.may_count(kept, feature=feature, environment=environment)
    assert is_counted == (said and filters.may_bill(kept, provider=provider, models=models))
