"""The text of an API key: read back, typos refused, digests by pepper version."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import tokens
from gateway.keys.tokens import ALPHABET, ENTROPY, PepperError, Peppers, Token

PEPPERS = Peppers.from_setting("1:b25lIG9uZSBvbmU=,2:dHdvIHR3byB0d28=")


@given(st.binary(min_size=ENTROPY, max_size=ENTROPY))
def test_a_minted_key_reads_back_as_itself(entropy: bytes) -> None:
    token = tokens.mint(entropy)

    assert tokens.parse(token.text) == token


@given(place=st.integers(0, 78), digit=st.sampled_from(ALPHABET))
def test_one_wrong_character_is_refused(place: int, digit: str) -> None:
    text = tokens.mint(bytes(range(ENTROPY))).text
    place %= len(text)
    wrong = text[:place] + digit + text[place + 1 :]

    assert wrong == text or tokens.parse(wrong) is None


@pytest.mark.parametrize("text", ["", "tk_live_", "sk-abc", "tk_live_\x00", "é" * 79, "_" * 79])
def test_what_is_no_key_is_none(text: str) -> None:
    assert tokens.parse(text) is None


def test_a_digest_is_made_with_the_newest_pepper_and_known_by_its_version() -> None:
    digest = PEPPERS.digest("secret", PEPPERS.newest)

    assert PEPPERS.newest == 2
    assert PEPPERS.is_digest(digest, "secret", 2)
    assert not PEPPERS.is_digest(digest, "secret", 1)
    assert not PEPPERS.is_digest(digest, "another", 2)
    assert not PEPPERS.is_digest(digest, "secret", 3)


@pytest.mark.parametrize("setting", ["", "no version", "x:b25l"])
def test_a_malformed_pepper_is_refused(setting: str) -> None:
    with pytest.raises(PepperError):
        Peppers.from_setting(setting)


def test_neither_secret_nor_pepper_shows_in_a_repr() -> None:
    token = tokens.mint(secrets.token_bytes(ENTROPY))

    assert token.secret not in repr(token)
    assert "b'" not in repr(PEPPERS)
    assert isinstance(token, Token)
