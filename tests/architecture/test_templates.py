"""Templates keep their two levels, the strict content policy, and the one way to show money."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
PAGES = [path for path in TEMPLATES if not {"email", "admin"} & set(path.parts)]
SCRIPTS = sorted((ROOT / "static/js").glob("*.js"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_page_extends_the_base_and_nothing_else(path: Path) -> None:
    parents = re.findall(r"{% extends ([^ ]+) %}", path.read_text())

    assert all(parent == '"base.html"' or parent.startswith('"admin/') for parent in parents)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_template_carries_no_style_handler_or_script_of_its_own(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_nothing_is_marked_safe_or_formatted_past_the_filters(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"\|\s*(safe|safeseq|floatformat|date|time|localize|intcomma)\b", text)
    assert "autoescape off" not in text


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_part_gets_only_what_it_is_given(path: Path) -> None:
    includes = re.findall(r"{% include [^%]+%}", path.read_text())

    assert all(" only %}" in include for include in includes)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_picture_field_and_table_can_be_heard(path: Path) -> None:
    text = path.read_text()

    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", text))
    assert all("scope=" in tag for tag in re.findall(r"<th(?=[\s>])[^>]*>", text))
    for tag in re.findall(r"<input(?![^>]*type=\"(?:hidden|checkbox)\")[^>]*>", text):
        field = re.search(r'id="([^"]+)"', tag)
        assert field is not None
        assert f'for="{field[1]}"' in text


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_a_script_is_short_and_writes_no_markup(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= 100
    assert not re.search(
        r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(", text
    )
