"""The palette can be read by everyone: contrast in both themes, hues that stay apart, no stray colour."""

import math
import re
from itertools import combinations, product
from pathlib import Path

import pytest

Colour = tuple[float, float, float]
ROOT = Path(__file__).resolve().parents[2]
TOKENS = (ROOT / "static/css/tokens.css").read_text()
THEMES = {
    "light": TOKENS.split(':root[data-theme="light"] {', 1)[1].split("}", 1)[0],
    "dark": TOKENS.split(':root[data-theme="dark"] {', 1)[1].split("}", 1)[0],
}
BACKGROUNDS = ("page", "surface", "sunken")
TEXTS = ("text", "muted", "accent", "accent-strong", "good", "warn", "bad")
TEXT_PAIRS = [
    *product(TEXTS, BACKGROUNDS),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-soft"),
    ("good", "good-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
]
CHART = [f"chart-{n}" for n in range(1, 9)]
MARK_PAIRS = [
    *product([*CHART, "chart-other", "chart-pace"], ["surface"]),
    *product(["good-mark", "warn-mark", "bad-mark"], ["surface", "sunken"]),
    *product(["line-strong", "focus"], BACKGROUNDS),
]
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
BLINDNESS = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("front", "back"), TEXT_PAIRS)
def test_text_has_the_contrast_of_wcag_aa(theme: str, front: str, back: str) -> None:
    assert contrast(token(theme, front), token(theme, back)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("front", "back"), MARK_PAIRS)
def test_marks_have_the_contrast_of_wcag_aa(theme: str, front: str, back: str) -> None:
    assert contrast(token(theme, front), token(theme, back)) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_eight_hues_stay_apart_for_every_kind_of_eye(theme: str, blindness: str) -> None:
    colours = [oklab(seen(token(theme, name), blindness)) for name in CHART]

    assert min(math.dist(a, b) for a, b in combinations(colours, 2)) >= 0.08


def test_the_dark_palette_of_the_system_is_the_one_that_a_person_may_choose() -> None:
    by_system = TOKENS.split("prefers-color-scheme: dark", 1)[1]

    assert declarations(by_system) == declarations(THEMES["dark"])


def test_no_colour_stands_outside_the_tokens() -> None:
    files = [
        *ROOT.glob("static/css/*.css"),
        *ROOT.glob("static/js/*.js"),
        *ROOT.glob("templates/**/*.html"),
    ]
    raw = re.compile(r"#[0-9a-fA-F]{3,8}\b(?=[;\s\"')])|\b(?:rgb|hsl|oklch|lab)a?\(")
    named = re.compile(r":\s*(?:white|black|red|green|blue|gr[ae]y|orange|yellow|teal)\b")

    found = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.name != "tokens.css" and "email" not in file.parts  # mail clients know no variables
        if raw.search(file.read_text()) or named.search(file.read_text())
    }

    assert found == set()


def declarations(css: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", css))


def token(theme: str, name: str) -> Colour:
    text = declarations(THEMES[theme])[f"--{name}"]
    red, green, blue = (linear(int(text[n : n + 2], 16) / 255) for n in (1, 3, 5))
    return red, green, blue


def linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else math.pow((part + 0.055) / 1.055, 2.4)


def contrast(front: Colour, back: Colour) -> float:
    dark, light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (front, back))
    return (light + 0.05) / (dark + 0.05)


def seen(colour: Colour, blindness: str) -> Colour:
    red, green, blue = (
        max(0.0, sum(m * part for m, part in zip(row, colour, strict=True)))
        for row in BLINDNESS[blindness]
    )
    return red, green, blue


def oklab(colour: Colour) -> Colour:
    r, g, b = colour
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
