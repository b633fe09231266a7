"""What linters cannot hold: sizes, names, docstrings, where async lives, no float, no raw colour."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("attribution", "budgets", "gateway", "config")
BANNED = {"utils", "helpers", "services", "selectors", "common", "misc", "core", "base"}
BANNED |= {"managers", "signals", "mixins", "tools", "extra"}
NAMED_BY_DJANGO = {"attribution/isolation/postgresql/base.py"}  # how a database backend is found
ASYNC_ADDRESSES = ("gateway/proxy/", "gateway/live/", "config/asgi.py")
TOP_LEVEL = {
    *("attribution", "budgets", "gateway", "config", "templates", "static", "tests"),
    *("manage.py", "pyproject.toml", "requirements.lock", "run", ".ci", "docker-compose.yml"),
    *("Dockerfile", ".env.example", "README.md", "CHANGELOG.md", "LICENSE", "docs", "locale"),
    *("deploy", "benchmarks", ".gitignore", ".dockerignore"),
}
LONGEST = 300


def sources(*folders: str) -> list[Path]:
    """Return the Python files of some folders, migrations apart."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


def named(path: Path) -> str:
    """Return the path of a file within the project."""
    return path.relative_to(ROOT).as_posix()


def listed_sizes() -> dict[str, int]:
    """Return the files that may be longer, with how long they may be."""
    lines = (Path(__file__).parent / "oversize.txt").read_text().splitlines()
    entries = [line.split(maxsplit=2) for line in lines if line and not line.startswith("#")]
    assert all(len(entry) == 3 for entry in entries), "each line: path lines reason"
    return {path: int(lines) for path, lines, _reason in entries}


def test_files_are_short_or_listed_with_their_reason() -> None:
    allowed = listed_sizes()
    lengths = {named(p): len(p.read_text().splitlines()) for p in sources(*PACKAGES, "tests")}
    too_long = {
        path: lines for path, lines in lengths.items() if lines > allowed.get(path, LONGEST)
    }

    assert not too_long


def test_the_list_of_long_files_only_shrinks() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in listed_sizes()}

    short_enough = [path for path, lines in lengths.items() if lines <= LONGEST]
    loose = {p: n for p, n in lengths.items() if n < listed_sizes()[p] - 50}

    assert not short_enough, "take these off oversize.txt"
    assert not loose, "lower these numbers in oversize.txt"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [named(p) for p in sources(*PACKAGES) if p.stem in BANNED or p.parent.name in BANNED]

    assert set(vague) == NAMED_BY_DJANGO


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_in_one_line_what_lives_there(package: str) -> None:
    wrong = []
    for path in sources(package):
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        if docstring is None and path.name == "__init__.py" and not path.read_text().strip():
            continue
        first = (docstring or "").split("\n\n")[0]
        if not docstring or "\n" in first:
            wrong.append(named(path))

    assert not wrong


def test_async_has_its_addresses() -> None:
    wrong = [
        named(path)
        for path in sources(*PACKAGES)
        if not named(path).startswith(ASYNC_ADDRESSES)
        and any(
            isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(ast.parse(path.read_text()))
        )
    ]

    assert not wrong


def test_the_hot_path_knows_no_orm() -> None:
    wrong = [
        named(path)
        for path in sources("gateway/proxy")
        if re.search(r"^\s*(from|import) django\.db", path.read_text(), re.MULTILINE)
    ]

    assert not wrong


@pytest.mark.parametrize("package", ["attribution", "budgets"])
def test_no_float_touches_an_amount(package: str) -> None:
    wrong = []
    for path in sources(package):
        if "management" in path.parts:
            continue  # commands time their progress in seconds
        for node in ast.walk(ast.parse(path.read_text())):
            is_name = isinstance(node, ast.Name) and node.id == "float"
            is_value = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if is_name or is_value:
                wrong.append(f"{named(path)}:{getattr(node, 'lineno', 0)}")

    assert not wrong


def test_colours_have_names() -> None:
    styles = [p for p in sorted((ROOT / "static/css").rglob("*.css")) if p.name != "tokens.css"]
    scripts = sorted((ROOT / "static/js").glob("*.js"))
    raw = re.compile(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|\b(?:rgb|hsl|oklch|oklab)a?\(")

    wrong = [named(path) for path in [*styles, *scripts] if raw.search(path.read_text())]

    assert not wrong


def test_the_top_level_stays_as_it_is() -> None:
    hidden = {".git", ".venv", "var"}
    present = {path.name for path in ROOT.iterdir()} - hidden
    caches = {name for name in present if name.endswith("_cache") or name == "__pycache__"}

    assert present - caches - {".hypothesis"} <= TOP_LEVEL


def test_no_signals_generic_keys_or_relative_imports() -> None:
    banned = re.compile(r"django\.db\.models\.signals|GenericForeignKey|^from \.", re.MULTILINE)

    assert not [named(p) for p in sources(*PACKAGES) if banned.search(p.read_text())]
