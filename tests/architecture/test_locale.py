"""Every text exists in all three languages: compiled, complete, with the same placeholders."""

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("fr", "zh_Hans")
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[sd]")


def po(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def texts(block: str, keyword: str) -> list[str]:
    """Return the strings of every line of this kind in an entry."""
    found = re.findall(rf'^{keyword} ((?:"(?:[^"\\]|\\.)*"\n?)+)', block + "\n", re.MULTILINE)
    return ["".join(ast.literal_eval(line) for line in lines.splitlines()) for lines in found]


def entries(path: Path) -> list[str]:
    return [entry for entry in path.read_text().split("\n\n")[1:] if entry.strip()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_or_fuzzy(language: str) -> None:
    found = entries(po(language))

    assert found
    assert [entry for entry in found if "#, fuzzy" in entry] == []
    assert [entry for entry in found if "" in texts(entry, r"msgstr(?:\[\d\])?")] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_placeholders(language: str) -> None:
    for entry in entries(po(language)):
        sources = texts(entry, "msgid") + texts(entry, "msgid_plural")
        allowed = set(PLACEHOLDER.findall(sources[-1]))

        for translation in texts(entry, r"msgstr(?:\[\d\])?"):
            assert set(PLACEHOLDER.findall(translation)) == allowed, entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    with po(language).with_suffix(".mo").open("rb") as compiled:
        catalog = gettext.GNUTranslations(compiled)

    for entry in entries(po(language)):
        if "msgid_plural" not in entry and "msgctxt" not in entry:
            assert catalog.gettext(texts(entry, "msgid")[0]) == texts(entry, "msgstr")[0]


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="xgettext is not installed")
def test_every_text_of_the_code_is_in_the_catalogs(tmp_path: Path) -> None:
    for name in ("attribution", "budgets", "gateway", "config", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "locale").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}

    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "-l", "fr", "--no-location", "--no-wrap"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )

    written = {source(entry) for entry in entries(tmp_path / "locale/fr/LC_MESSAGES/django.po")}
    for language in LANGUAGES:
        assert written - {source(entry) for entry in entries(po(language))} == set()


def source(entry: str) -> tuple[str, ...]:
    return (*texts(entry, "msgctxt"), *texts(entry, "msgid"), *texts(entry, "msgid_plural"))
