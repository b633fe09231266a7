"""Token classes are disjoint, whole and closed."""

import pytest

from attribution.prices.tokens import CLASSES, Tokens, TokensError


def test_classes_add_up_one_by_one() -> None:
    call = Tokens(input=200, cache_read=800, output=5) + Tokens(input=1, reasoning=7)

    assert call == Tokens(input=201, cache_read=800, output=5, reasoning=7)
    assert (call.total, call.input_total, call.output_total) == (1013, 1001, 12)


def test_a_mapping_goes_in_and_comes_out_without_zeros() -> None:
    call = Tokens.from_mapping({"input": 3, "output": 0, "audio_output": 2})

    assert call.as_dict() == {"input": 3, "audio_output": 2}
    assert Tokens.from_mapping(dict.fromkeys(CLASSES, 1)).total == len(CLASSES)


@pytest.mark.parametrize("counts", [{"prompt": 1}, {"input": -1}, {"input": True}, {"input": "5"}])
def test_anything_else_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(TokensError):
        Tokens.from_mapping(counts)
