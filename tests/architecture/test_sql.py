"""SQL is kept as code: one thing per file, a contract on top, installed as it stands, no way around."""

import importlib
import re
from pathlib import Path

import pytest
from django.apps import apps

from attribution.isolation.operations import ROLES, InstallSQL, declared, digest_of, functions_in
from tests.architecture.test_tenancy import DEFINERS, SEARCH_PATH

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("attribution", "budgets", "gateway")  # from the ground floor up
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.sql"))
RUN_BY_MIGRATIONS = {"attribution/isolation/roles.sql"}
DYNAMIC = {  # each builds statements from dates or from names of its own only
    "attribution/isolation/roles.sql",
    "attribution/usage/partitions.sql",
}
SHARED_PREFIX = ("uuid7_", "v1_")  # belong to the whole house


def named(path: Path) -> str:
    """Return the path of a file within the project."""
    return path.relative_to(ROOT).as_posix()


def installed() -> dict[str, list[str]]:
    """Return the digests under which migrations install each file, in their order."""
    steps: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package / "migrations").glob("0*.py")):
            module = importlib.import_module(f"{package}.migrations.{path.stem}")
            for step in module.Migration.operations:
                if isinstance(step, InstallSQL):
                    steps.setdefault(step.name, []).append(step.digest)
    return steps


def created(text: str) -> list[str]:
    """Return the functions and views that a file creates."""
    return [*functions_in(text), *re.findall(r"CREATE OR REPLACE VIEW (\w+)", text)]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_migration_installs_the_current_text(path: Path) -> None:
    digests = installed().get(named(path), [])

    assert named(path) in RUN_BY_MIGRATIONS or digests[-1:] == [digest_of(path.read_text())]


def test_no_migration_names_a_file_that_is_gone() -> None:
    assert not set(installed()) - {named(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_begins_with_its_contract(path: Path) -> None:
    text = path.read_text()

    assert text.startswith("-- ")
    assert len(text.splitlines()[0]) > 20
    assert set(declared(text, "execute")) | set(declared(text, "owner")) <= set(ROLES)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_creates_one_thing_named_like_itself(path: Path) -> None:
    package = named(path).split("/")[0]
    names = created(path.read_text())

    expected = path.stem if path.stem.startswith(SHARED_PREFIX) else f"{package}_{path.stem}"
    assert (
        named(path) in RUN_BY_MIGRATIONS
        or [name for name in names if name == expected or name.startswith(f"{expected}_")] == names
    )
    assert len(names) == (0 if named(path) in RUN_BY_MIGRATIONS else 1)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_functions_that_run_as_their_owner_are_listed(path: Path) -> None:
    text = path.read_text()
    if "SECURITY DEFINER" not in text:
        return

    assert set(functions_in(text)) <= DEFINERS
    assert f"SET {SEARCH_PATH.replace('=', ' = ', 1)}" in text
    assert declared(text, "execute")


@pytest.mark.parametrize("path", FILES, ids=named)
def test_statements_are_not_built_at_run_time(path: Path) -> None:
    statements = re.sub(r"--.*", "", path.read_text())
    is_dynamic = re.search(r"\bEXECUTE\s+(?!FUNCTION)(format|'|\w+\s*(\|\||;|USING))", statements)

    assert bool(is_dynamic) == (named(path) in DYNAMIC)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_sql_touches_nothing_of_a_floor_above(path: Path) -> None:
    package = named(path).split("/")[0]
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    tables = {
        model._meta.db_table for name in above for model in apps.get_app_config(name).get_models()
    }
    statements = re.sub(r"--.*", "", path.read_text())

    assert not [
        table for table in tables if re.search(rf"\b(FROM|JOIN|INTO|UPDATE) {table}\b", statements)
    ]
    assert not re.search(rf"\b({'|'.join(above) or 'nothing'})_\w+\(", statements)


def test_every_listed_definer_has_its_file() -> None:
    names = {name for path in FILES for name in functions_in(path.read_text())}

    assert names >= DEFINERS
