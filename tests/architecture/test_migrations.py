"""Migrations: complete, named, one concern each, undoable."""

import re
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.migrations import RunPython, RunSQL
from django.db.migrations.loader import MigrationLoader

from attribution.isolation.operations import TenantTable

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("attribution", "budgets", "gateway")


def test_the_models_are_what_the_migrations_make(db: None) -> None:
    told = StringIO()

    with suppress(SystemExit):
        call_command("makemigrations", "--check", "--dry-run", stdout=told)

    assert told.getvalue() == "No changes detected\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_migrations_are_numbered_without_gaps_and_named(package: str) -> None:
    names = sorted(path.stem for path in (ROOT / package / "migrations").glob("0*.py"))

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+", name) and "auto" not in name for name in names)


def test_every_step_can_be_undone() -> None:
    loader = MigrationLoader(None)
    steps = [
        step
        for (package, _name), migration in loader.disk_migrations.items()
        if package in PACKAGES
        for step in migration.operations
        if isinstance(step, RunPython | RunSQL)
    ]

    assert steps
    assert all(step.reversible for step in steps)


def test_every_tenant_model_has_its_wall_in_a_migration() -> None:
    loader = MigrationLoader(None)
    walled = {
        step.name
        for migration in loader.disk_migrations.values()
        for step in migration.operations
        if isinstance(step, TenantTable)
    }
    models = {
        model._meta.db_table
        for package in PACKAGES
        for model in apps.get_app_config(package).get_models()
        if any(field.column == "organization_id" for field in model._meta.concrete_fields)
    }

    assert models <= walled
