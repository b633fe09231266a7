"""Migration operations: roles, row policies, composite keys, SQL files, append-only tables."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation

ROOT = Path(__file__).resolve().parent.parent.parent
ROLES = {
    "app": "tollkeeper_app",
    "gateway": "tollkeeper_gateway",
    "ledger": "tollkeeper_ledger",
    "platform": "tollkeeper_platform",
    "backup": "tollkeeper_backup",
}
SERVED = "NULLIF(current_setting('app.organization_id', true), '')::uuid"
DIGEST_LENGTH = 16


class DatabaseOnly(Operation):
    """A step that changes the database and not the models; undone by dropping what it protects."""

    reduces_to_sql = False
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the models as they are."""

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Leave the protection in place: it goes with its table or is replaced by an older text."""

    def describe(self) -> str:
        """Say what the step does."""
        return f"{type(self).__name__} {getattr(self, 'name', '')}".strip()


class InstallRoles(DatabaseOnly):
    """Create the roles of the application, where the owner may."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Run roles.sql and let the roles into the schema."""
        run(schema_editor, (ROOT / "attribution/isolation/roles.sql").read_text())
        for role in present(schema_editor, *ROLES):
            run(schema_editor, f"GRANT USAGE ON SCHEMA public TO {role}")


class InstallSQL(DatabaseOnly):
    """Install one SQL file; an outdated digest means that a later step installs a newer text.

    The head comment of a file names who owns and who executes its function:
    `-- owner: ledger` and `-- execute: gateway, app`.
    """

    def __init__(self, name: str, digest: str) -> None:
        self.name = name
        self.digest = digest

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Run the file, hand it to its owner and let only the named roles execute it."""
        text = (ROOT / self.name).read_text()
        if digest_of(text) != self.digest:
            return
        run(schema_editor, text)
        for function in functions_in(text):
            _assign(schema_editor, function, text)
        for view in re.findall(r"CREATE OR REPLACE VIEW (\w+)", text):
            _grant_view(schema_editor, view, text)


class TenantTable(DatabaseOnly):
    """Put a table behind the wall: policies, FORCE, composite keys, grants.

    `references` maps a column to the table it points to within the organization. `app` and
    `ledger` are the rights of those roles, as in GRANT. A hot table has no foreign keys.
    """

    def __init__(
        self,
        name: str,
        *,
        references: Mapping[str, str] | None = None,
        app: str = "SELECT, INSERT, UPDATE, DELETE",
        ledger: str = "",
        is_hot: bool = False,
    ) -> None:
        self.name = name
        self.references = dict(references or {})
        self.app = app
        self.ledger = ledger
        self.is_hot = is_hot

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how to write this step down."""
        options = {"references": self.references, "app": self.app, "ledger": self.ledger}
        return type(self).__name__, [self.name], {**options, "is_hot": self.is_hot}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Enable and force row security, install both policies, keys and grants."""
        column = "id" if self.name == "organization" else "organization_id"
        protect(schema_editor, self.name, column=column, has_ledger=bool(self.ledger))
        if not self.is_hot and column != "id":
            self._add_keys(schema_editor)
        grant(schema_editor, self.name, {"app": self.app, "ledger": self.ledger})
        grant(schema_editor, self.name, {"platform": "SELECT", "backup": "SELECT"})

    def _add_keys(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        table = self.name
        run(
            schema_editor,
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_organization_fk"
            " FOREIGN KEY (organization_id) REFERENCES organization (id)",
        )
        if _has_id(schema_editor, table):
            run(
                schema_editor,
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_tenant_key"
                " UNIQUE (organization_id, id)",
            )
        for column, target in self.references.items():
            run(
                schema_editor,
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fk FOREIGN KEY"
                f" (organization_id, {column}) REFERENCES {target} (organization_id, id)",
            )


class SharedTable(TenantTable):
    """A table whose rows without organization everybody reads and only the owner writes."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Install the usual policies and the two for shared rows."""
        protect(schema_editor, self.name, column="organization_id", has_ledger=True)
        shared = "organization_id IS NULL"
        run(schema_editor, f"CREATE POLICY shared ON {self.name} FOR SELECT USING ({shared})")
        run(
            schema_editor,
            f"CREATE POLICY catalog ON {self.name} TO CURRENT_USER"
            f" USING ({shared}) WITH CHECK ({shared})",
        )
        grant(schema_editor, self.name, {"app": self.app, "ledger": "SELECT"})
        grant(schema_editor, self.name, {"platform": "SELECT", "backup": "SELECT"})


class GlobalTable(DatabaseOnly):
    """A table without organization: grants only, row security is told to stay away."""

    def __init__(self, name: str, *, app: str, ledger: str = "") -> None:
        self.name = name
        self.app = app
        self.ledger = ledger

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how to write this step down."""
        return type(self).__name__, [self.name], {"app": self.app, "ledger": self.ledger}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Grant what the roles need."""
        grant(schema_editor, self.name, {"app": self.app, "ledger": self.ledger})
        grant(schema_editor, self.name, {"platform": "SELECT", "backup": "SELECT"})


class LedgerOnly(DatabaseOnly):
    """In a one-role deployment, let only the money functions write a table."""

    def __init__(self, name: str) -> None:
        self.name = name

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Install the trigger where no grant can say the same."""
        if present(schema_editor, "ledger"):
            return
        run(
            schema_editor,
            f"CREATE TRIGGER {self.name}_ledger_only BEFORE INSERT OR UPDATE OR DELETE"
            f" ON {self.name} FOR EACH ROW EXECUTE FUNCTION attribution_ledger_only()",
        )


class AppendOnly(DatabaseOnly):
    """Refuse UPDATE, DELETE and TRUNCATE of a table, whoever asks."""

    def __init__(self, name: str) -> None:
        self.name = name

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Install both triggers; row triggers reach every partition."""
        run(
            schema_editor,
            f"CREATE TRIGGER {self.name}_append_only BEFORE UPDATE OR DELETE ON {self.name}"
            " FOR EACH ROW EXECUTE FUNCTION attribution_append_only()",
        )
        run(
            schema_editor,
            f"CREATE TRIGGER {self.name}_no_truncate BEFORE TRUNCATE ON {self.name}"
            " FOR EACH STATEMENT EXECUTE FUNCTION attribution_append_only()",
        )


class CreatePartitionedModel(CreateModel):
    """Create a table that is range-partitioned by `partition_by`, without any partition yet."""

    def __init__(self, *args: Any, partition_by: str = "id", **kwargs: Any) -> None:
        self.partition_by = partition_by
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how to write this step down."""
        name, args, kwargs = super().deconstruct()
        return name, list(args), {**kwargs, "partition_by": self.partition_by}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the table with a partition clause."""
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE ({self.partition_by})"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain


def digest_of(text: str) -> str:
    """Return the digest by which a migration names the text of an SQL file."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def functions_in(text: str) -> list[str]:
    """Return the names of the functions that an SQL file creates."""
    return re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", text)


def declared(text: str, word: str) -> list[str]:
    """Return the roles that the head comment of an SQL file names after `-- word:`."""
    found = re.search(rf"^-- {word}: (.*)$", text, re.MULTILINE)
    return [name.strip() for name in found[1].split(",")] if found else []


def protect(
    schema_editor: BaseDatabaseSchemaEditor, table: str, *, column: str, has_ledger: bool
) -> None:
    """Enable and force row security on a table with the two policies of the product."""
    run(schema_editor, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    run(schema_editor, f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    check = f"{column} = {SERVED}"
    run(schema_editor, f"CREATE POLICY tenant ON {table} USING ({check}) WITH CHECK ({check})")
    if not has_ledger:
        return
    if present(schema_editor, "ledger"):
        policy = "TO tollkeeper_ledger USING (true) WITH CHECK (true)"
    else:
        on = "current_setting('app.ledger', true) = 'on'"
        policy = f"USING ({on}) WITH CHECK ({on})"
    run(schema_editor, f"CREATE POLICY ledger ON {table} {policy}")


def grant(schema_editor: BaseDatabaseSchemaEditor, table: str, rights: Mapping[str, str]) -> None:
    """Grant rights on a table to the roles that exist."""
    for name, right in rights.items():
        if right and present(schema_editor, name):
            run(schema_editor, f"GRANT {right} ON {table} TO {ROLES[name]}")


def present(schema_editor: BaseDatabaseSchemaEditor, *names: str) -> list[str]:
    """Return which of the named roles exist in this cluster and are used by this deployment."""
    roles = [ROLES[name] for name in names]
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
            " AND EXISTS (SELECT 1 FROM pg_roles r"
            " WHERE r.rolname = current_user AND r.rolcreaterole)",
            [roles],
        )
        return [row[0] for row in cursor.fetchall()]


def run(schema_editor: BaseDatabaseSchemaEditor, sql: str) -> None:
    """Execute SQL as it stands, without placeholders."""
    schema_editor.execute(sql, params=None)


def _assign(schema_editor: BaseDatabaseSchemaEditor, function: str, text: str) -> None:
    run(schema_editor, f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    if "ledger" in declared(text, "owner") and present(schema_editor, "ledger"):
        run(schema_editor, "GRANT CREATE ON SCHEMA public TO tollkeeper_ledger")
        run(schema_editor, f"ALTER FUNCTION {function} OWNER TO tollkeeper_ledger")
        run(schema_editor, "REVOKE CREATE ON SCHEMA public FROM tollkeeper_ledger")
    for role in present(schema_editor, *declared(text, "execute")):
        run(schema_editor, f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def _grant_view(schema_editor: BaseDatabaseSchemaEditor, view: str, text: str) -> None:
    for role in present(schema_editor, *declared(text, "select")):
        run(schema_editor, f"GRANT SELECT ON {view} TO {role}")


def _has_id(schema_editor: BaseDatabaseSchemaEditor, table: str) -> bool:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s AND column_name = 'id'",
            [table],
        )
        return cursor.fetchone() is not None
