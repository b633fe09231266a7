"""Calls of one prompt template share a fingerprint; two organizations never do."""

from uuid import UUID

import pytest

from attribution.usage import fingerprint

OURS = fingerprint.organization_key(b"instance secret", UUID(int=1))
THEIRS = fingerprint.organization_key(b"instance secret", UUID(int=2))

TODAY = """You help Ann  (ann@example.com, 10.0.0.17) with order 4711-B.
Today is 2026-11-22T13:18:22Z; case 7b0d5c1e-53a2-4f6f-9d43-0a1b2c3d4e5f, $1,250.50."""
LATER = """You help Ann (bob.b+1@mail.example.org, 2001:db8::17) with order 12-B.
Today is 2027-01-03 08:00; case 00000000-53a2-4f6f-9d43-0a1b2c3d4e5f, $3."""


def test_what_changes_from_call_to_call_does_not_change_the_fingerprint() -> None:
    assert fingerprint.normalize(TODAY) == fingerprint.normalize(LATER)
    assert fingerprint.of_prompt(OURS, TODAY) == fingerprint.of_prompt(OURS, LATER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On 2026-11-22", "on <date>"),
        ("on Nov 22, 2026", "on <date>"),
        ("on 22nd November 2026", "on <date>"),
        ("on 22/11/2026", "on <date>"),
        ("at 13:18", "at <number>"),
        ("see https://example.com/a?b=1", "see <address>"),
        ("Cafe\u0301\n\n  bar", "caf\u00e9 bar"),
        ("2026年1月5日", "<number>年<number>月<number>日"),
    ],
)
def test_dates_numbers_and_addresses_become_placeholders(text: str, expected: str) -> None:
    assert fingerprint.normalize(text) == expected


def test_another_template_or_organization_has_another_fingerprint() -> None:
    prints = {
        fingerprint.of_prompt(OURS, "You are a helpful assistant."),
        fingerprint.of_prompt(OURS, "You are a helpful accountant."),
        fingerprint.of_prompt(THEIRS, "You are a helpful assistant."),
        fingerprint.of_body(OURS, b"You are a helpful assistant."),
    }

    assert len(prints) == 4
    assert {len(one or b"") for one in prints} == {16}


def test_a_declared_name_takes_precedence_over_the_text() -> None:
    named = fingerprint.of_prompt(OURS, "some text", name="summary@3")

    assert named == fingerprint.of_prompt(OURS, "other text", name="summary@3")
    assert named != fingerprint.of_prompt(OURS, "summary@3")
    assert fingerprint.of_prompt(OURS, "  ") is None


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "é", "a\n"])
def test_a_declared_name_keeps_to_its_alphabet(name: str) -> None:
    with pytest.raises(fingerprint.PromptNameError):
        fingerprint.of_prompt(OURS, "text", name=name)


@pytest.mark.parametrize("hostile", ["a" * 10**7, "1." * 10**7, "a@" * 10**7, ":" * 10**7])
def test_hostile_text_costs_no_more_than_its_length(hostile: str) -> None:
    """A pattern that looks back from every position would not come to an end here."""
    assert len(fingerprint.normalize(hostile)) <= 8 * fingerprint.MAX_TEXT
