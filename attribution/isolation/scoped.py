"""Fail-closed managers: rows of an organization exist only inside its tenant transaction."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import models

from attribution.isolation.transaction import current, required

M = TypeVar("M", bound=models.Model)


class ForeignOrganizationError(ValueError):
    """A row of another organization was about to be written."""

    code = "foreign_organization"


class ScopedQuerySet(models.QuerySet[M]):
    """Rows of the organization being served; writes refuse rows of any other."""

    def create(self, **kwargs: Any) -> M:
        """Create a row of the organization being served."""
        return super().create(**{**kwargs, **_own(kwargs)})

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Create rows of the organization being served."""
        rows = list(objs)
        for row in rows:
            _own({"organization_id": getattr(row, "organization_id", None)})
        return super().bulk_create(rows, *args, **kwargs)


class ScopedManager(models.Manager[M]):
    """The only manager of a tenant model, also used for relations.

    `ScopedManager.from_queryset(...)` gives one with more filters, equally scoped.
    """

    _queryset_class: type[ScopedQuerySet[M]] = ScopedQuerySet

    def get_queryset(self) -> ScopedQuerySet[M]:
        """Return the rows of the organization being served; raise NoTenantError outside one."""
        queryset = cast("ScopedQuerySet[M]", super().get_queryset())
        return queryset.filter(organization_id=required())


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A relation inside one organization.

    The constraint is (organization_id, x_id) -> x (organization_id, id) and is installed by
    `TenantTable`: a plain foreign key is checked past row policies and could name a foreign row.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class TenantModel(models.Model):
    """A row that belongs to one organization; `TenantTable` installs what the database must know."""

    organization = models.ForeignKey(
        "attribution.Organization",
        on_delete=models.PROTECT,
        default=current,
        editable=False,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )

    objects = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


def _own(values: dict[str, Any]) -> dict[str, UUID]:
    """Return the organization of a new row; raise when it names another one."""
    organization_id = required()
    named = values.get("organization_id") or getattr(values.get("organization"), "pk", None)
    if named is not None and str(named) != str(organization_id):
        raise ForeignOrganizationError("this row belongs to another organization")
    return {"organization_id": organization_id} if "organization" not in values else {}
