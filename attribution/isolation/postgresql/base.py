"""Django's PostgreSQL backend with a guard on every statement (the name is Django's)."""

import functools
import re
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.backends.postgresql import base

from attribution.isolation.transaction import NoTenantError, current


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses statements that name a tenant table outside a tenant transaction.

    Managers can be slipped past (raw SQL, lazily evaluated querysets); statements can not.
    Only the application's connection is guarded: migrations and platform commands use others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.alias == "default":
            self.execute_wrappers.append(refuse_outside_tenant)


def refuse_outside_tenant(
    execute: Callable[..., Any],
    sql: str,
    params: Any,
    many: bool,  # noqa: FBT001 -- Django calls it by position
    context: Any,
) -> Any:
    """Run the statement, or raise NoTenantError when it names a tenant table outside a tenant."""
    if current() is None and (named := tenant_tables().search(sql)):
        raise NoTenantError(f"{named[0]} was named outside a tenant transaction")
    return execute(sql, params, many, context)


@functools.cache
def tenant_tables() -> re.Pattern[str]:
    """Match the name of any table that belongs to organizations."""
    names = ["organization"] + [
        model._meta.db_table
        for model in apps.get_models()
        if any(field.column == "organization_id" for field in model._meta.concrete_fields)
    ]
    return re.compile(r"\b(?:" + "|".join(map(re.escape, names)) + r")\b")
