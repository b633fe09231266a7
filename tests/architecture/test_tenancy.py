"""The database's own word on isolation: every table classified, walled, and granted to nobody more."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOBAL_TABLES = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_admin_log",  # unused: it knows no organization; the app role cannot read it
    "django_content_type",
    "django_migrations",
    "django_session",
    "gateway_worker",
    "rollup_watermark",
    "tollkeeper_user",
    "tollkeeper_user_groups",
    "tollkeeper_user_user_permissions",
}
SHARED_TABLES = {"price"}  # rows without organization are everybody's list
DEFINERS = {
    "attribution_memberships",
    "attribution_organizations",
    "attribution_partitions",
    "attribution_rollups_advance",
    "attribution_rollups_rebuild",
    "budgets_admit",
    "budgets_expire",
    "budgets_extend",
    "budgets_ingest",
    "budgets_outlook",
    "budgets_period",
    "budgets_raise_ahead",
    "budgets_relimit",
    "budgets_rerate",
    "budgets_reshape",
    "budgets_settle",
    "budgets_standing",
    "gateway_attempt",
    "gateway_beat",
    "gateway_catalog",
    "gateway_lookup",
    "gateway_probe",
    "gateway_secret",
    "gateway_used",
}
SEARCH_PATH = "search_path=pg_catalog, public, pg_temp"
SERVED = "NULLIF(current_setting('app.organization_id'::text, true), ''::text)"
MONEY_TABLES = [
    "usage_record",
    "attempt",
    "ledger_entry",
    "reservation",
    "idempotency",
    "budget_period",
    "alert",
    "rollup",
    "latency_rollup",
]


@pytest.fixture(scope="module")
def owner() -> Iterator[psycopg.Connection]:
    """Connect as the owner, who sees every table's definition."""
    dsn = os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def rows(connection: psycopg.Connection, statement: Any) -> list[Any]:
    """Return all rows of a statement."""
    return connection.execute(statement).fetchall()


def tables(connection: psycopg.Connection) -> dict[str, bool]:
    """Return every table, and whether it is a partition."""
    found = rows(
        connection,
        "SELECT relname, relispartition FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace",
    )
    return dict(found)


def test_every_table_is_classified(owner: psycopg.Connection) -> None:
    columns = rows(
        owner,
        "SELECT table_name, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'organization_id'",
    )
    bound = {name for name, nullable in columns if nullable == "NO"} | {"organization"}

    views = {name for name, _nullable in columns} - set(tables(owner))
    strange = set(tables(owner)) - bound - GLOBAL_TABLES - SHARED_TABLES

    assert not strange
    assert all(name.startswith("v1_") for name in views)


def test_every_tenant_table_forces_row_security_partitions_too(owner: psycopg.Connection) -> None:
    open_tables = {
        name
        for (name,) in rows(
            owner,
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace"
            " AND NOT (relrowsecurity AND relforcerowsecurity)",
        )
    }

    assert open_tables <= GLOBAL_TABLES
    assert any(is_partition for is_partition in tables(owner).values())


def test_policies_are_the_two_of_the_product(owner: psycopg.Connection) -> None:
    found = rows(
        owner,
        "SELECT tablename, policyname, permissive, roles::text, cmd, qual, with_check"
        " FROM pg_policies WHERE schemaname = 'public'",
    )

    assert found
    for table, name, permissive, roles, command, qual, check in found:
        column = "id" if table == "organization" else "organization_id"
        tenant = f"({column} = ({SERVED})::uuid)"
        allowed: dict[str, tuple[str, str, str, str | None]] = {
            "tenant": ("{public}", "ALL", tenant, tenant),
            "ledger": ("{tollkeeper_ledger}", "ALL", "true", "true"),
        }
        if table in SHARED_TABLES:
            shared = "(organization_id IS NULL)"
            allowed["shared"] = ("{public}", "SELECT", shared, None)
            allowed["catalog"] = ("{tollkeeper_owner}", "ALL", shared, shared)
        assert permissive == "PERMISSIVE"
        assert (roles, command, qual, check) == allowed[name], f"{table}: {name}"


def test_every_tenant_table_has_its_policy(owner: psycopg.Connection) -> None:
    walled = rows(owner, "SELECT tablename FROM pg_policies WHERE policyname = 'tenant'")

    assert {name for (name,) in walled} == set(tables(owner)) - GLOBAL_TABLES


def test_unique_and_exclusion_indexes_begin_with_the_organization(
    owner: psycopg.Connection,
) -> None:
    found = rows(
        owner,
        "SELECT t.relname, i.relname, pg_get_indexdef(x.indexrelid, 1, true) FROM pg_index x"
        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
        " WHERE t.relnamespace = 'public'::regnamespace AND NOT x.indisprimary"
        " AND (x.indisunique OR x.indisexclusion)",
    )
    wrong = [
        (table, index, first)
        for table, index, first in found
        if table not in GLOBAL_TABLES | {"organization"} and "organization_id" not in first
    ]

    assert not wrong


def test_foreign_keys_between_tenant_tables_carry_the_organization(
    owner: psycopg.Connection,
) -> None:
    found = rows(
        owner,
        "SELECT conrelid::regclass::text, confrelid::regclass::text, pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    )
    composite = re.compile(r"\(organization_id, \w+\) REFERENCES \w+\(organization_id, id\)")
    wrong = [
        definition
        for table, target, definition in found
        if table not in GLOBAL_TABLES
        and target not in GLOBAL_TABLES | {"organization"}
        and not composite.search(definition)
    ]

    assert not wrong
    assert any(composite.search(definition) for _table, _target, definition in found)


def test_roles_have_no_more_than_they_need(owner: psycopg.Connection) -> None:
    found = rows(
        owner,
        "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcanlogin FROM pg_roles"
        " WHERE rolname LIKE 'tollkeeper%'",
    )
    attributes = {name: rest for name, *rest in found}

    for name in ("tollkeeper_owner", "tollkeeper_app", "tollkeeper_gateway"):
        assert attributes[name] == [False, False, False, True], name
    assert attributes["tollkeeper_ledger"] == [False, False, False, False]


def test_security_definers_are_listed_and_fixed(owner: psycopg.Connection) -> None:
    found = rows(
        owner,
        "SELECT p.proname, coalesce(p.proconfig, '{}') FROM pg_proc p"
        " WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef",
    )

    assert {name for name, _config in found} == DEFINERS
    assert all(SEARCH_PATH in config for _name, config in found)


def test_nobody_executes_by_default(owner: psycopg.Connection) -> None:
    open_functions = rows(
        owner,
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
        " AND has_function_privilege('public', p.oid, 'EXECUTE')"
        " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')",
    )

    assert not open_functions


def test_views_run_with_the_rights_of_their_reader(owner: psycopg.Connection) -> None:
    views = rows(
        owner,
        "SELECT relname, relkind::text, coalesce(reloptions, '{}') FROM pg_class"
        " WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace",
    )

    assert {name for name, _kind, _options in views} >= {"v1_calls", "v1_ledger", "v1_periods"}
    assert all(kind == "v" for _name, kind, _options in views)
    assert all("security_invoker=true" in options for _name, _kind, options in views)


def granted(connection: psycopg.Connection, role: str) -> dict[str, set[str]]:
    """Return what a role may do with which table or view."""
    found: dict[str, set[str]] = {}
    statement = (
        "SELECT c.relname, r.name FROM pg_class c,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) r(name)"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
        " AND has_table_privilege(%s, c.oid, r.name)"
    )
    for table, right in connection.execute(statement, [role]).fetchall():
        found.setdefault(table, set()).add(right)
    return found


def test_the_gateway_reads_and_writes_no_table(owner: psycopg.Connection) -> None:
    assert not granted(owner, "tollkeeper_gateway")


def test_the_application_only_reads_the_books(owner: psycopg.Connection) -> None:
    rights = granted(owner, "tollkeeper_app")

    assert all(rights[table] == {"SELECT"} for table in MONEY_TABLES)
    assert rights["audit_entry"] == rights["audit_seal"] == {"SELECT", "INSERT"}
    assert not any({"TRUNCATE", "REFERENCES", "TRIGGER"} & names for names in rights.values())
    assert "django_admin_log" not in rights


def test_nobody_reaches_a_partition_past_its_parent(owner: psycopg.Connection) -> None:
    partitions = {name for name, is_partition in tables(owner).items() if is_partition}

    for role in ("tollkeeper_app", "tollkeeper_gateway", "tollkeeper_ledger"):
        assert not partitions & set(granted(owner, role)), role


def test_only_the_tenant_transaction_sets_the_organization() -> None:
    setters = {
        path.relative_to(ROOT).as_posix()
        for package in ("attribution", "budgets", "gateway", "config")
        for path in (ROOT / package).rglob("*.py")
        if "set_config" in path.read_text()
    }

    assert setters == {"attribution/isolation/transaction.py"}
