"""Documents that cannot rot: every setting, command, path, code and view has its row."""

import re
from pathlib import Path

import pytest

from gateway.proxy.protocols.errors import REFUSALS
from gateway.proxy.urls import urlpatterns

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PACKAGES = ("attribution", "budgets", "gateway", "config")


def text(name: str) -> str:
    """Return a document."""
    return (ROOT / "docs" / name).read_text()


def everything() -> str:
    """Return all documents and the README."""
    return "\n".join(path.read_text() for path in [*DOCS, ROOT / "README.md"])


def rows(name: str) -> dict[str, str]:
    """Return the table rows of a document by the first name in code style."""
    return {m[1]: m[0] for m in re.finditer(r"^\| `([^`]+)`.*$", text(name), re.MULTILINE)}


def test_every_setting_has_its_row() -> None:
    source = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r"(?:env(?:\.\w+)?|_database)\(\s*\"([A-Z_]+)\"", source))

    assert read
    assert not read - set(rows("settings.md"))


def test_every_row_of_the_settings_is_a_setting() -> None:
    sources = [*(ROOT / "config").rglob("*.py"), ROOT / "run", ROOT / "tests/servers.py"]
    sources += sorted((ROOT / "deploy").iterdir())
    code = "\n".join(path.read_text() for path in sources if path.is_file())

    assert not [name for name in rows("settings.md") if name not in code]


def test_every_command_is_told_of() -> None:
    commands = {
        path.stem
        for package in PACKAGES
        for path in (ROOT / package / "management/commands").glob("*.py")
        if path.stem != "__init__"
    }
    told = everything()

    assert commands
    assert not [name for name in commands if not re.search(rf"\b{name}\b", told)]


def test_every_governed_path_is_told_of() -> None:
    paths = [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(entry.pattern)) for entry in urlpatterns]
    told = text("http-api.md")

    assert paths
    assert not [path for path in paths if path.strip("^$") not in told]


def test_every_refusal_has_its_row_with_its_status() -> None:
    told = rows("http-api.md")

    missing = [
        code
        for code, refusal in REFUSALS.items()
        if f"| {refusal.status} |" not in told.get(code, "")
    ]
    assert not missing


def test_every_view_of_the_read_contract_is_told_of() -> None:
    views = {path.stem for package in PACKAGES for path in (ROOT / package).rglob("v1_*.sql")}
    told = everything()

    assert len(views) >= 6
    assert not [view for view in views if view not in told]


@pytest.mark.parametrize("path", [*DOCS, ROOT / "README.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://", "mailto:"))]

    assert not [link for link in local if not (path.parent / link).exists()]


@pytest.mark.parametrize("path", [*DOCS, ROOT / "README.md"], ids=lambda path: path.name)
def test_documents_name_no_place_of_their_author(path: Path) -> None:
    assert not re.search(r"/(home|root|work|Users)/", path.read_text())
