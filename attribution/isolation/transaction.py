"""The tenant transaction: alone may tell the database which organization is being served."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction

_organization: ContextVar[UUID | None] = ContextVar("organization", default=None)


class NestedTenantError(RuntimeError):
    """A tenant transaction was opened inside another one."""

    code = "nested_tenant"


class NoTenantError(RuntimeError):
    """Rows of an organization were asked for outside a tenant transaction."""

    code = "no_tenant"


def current() -> UUID | None:
    """Return the organization being served, or None outside a tenant transaction."""
    return _organization.get()


def required() -> UUID:
    """Return the organization being served; raise NoTenantError outside a tenant transaction."""
    organization_id = _organization.get()
    if organization_id is None:
        raise NoTenantError("open attribution.isolation.transaction.tenant(organization_id) first")
    return organization_id


@contextmanager
def tenant(organization_id: UUID) -> Iterator[None]:
    """Serve one organization in one transaction; refuses nesting.

    The database forgets the organization with the transaction (SET LOCAL). Inside a surrounding
    transaction, as in tests, it would linger until that one ends: hence the explicit reset.
    """
    if _organization.get() is not None:
        raise NestedTenantError("a tenant transaction is open already")
    with transaction.atomic():
        _tell_database(str(organization_id))
        token = _organization.set(organization_id)
        try:
            yield
        finally:
            _organization.reset(token)
        if connection.savepoint_ids or connection.in_atomic_block:
            _tell_database("")


def _tell_database(organization_id: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.organization_id', %s, true)", [organization_id])
