"""Programs: who asks with an API key. The package of keys makes them, lower ones need not know it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Program:
    """The user of a request that presents an API key: a program, no person. Its id outlives rotation."""

    key_id: UUID
    organization_id: UUID
    name: str
    scopes: tuple[str, ...] = ()
    cost_center_id: UUID | None = None
    is_cost_center_pinned: bool = False
    allowed_cost_centers: tuple[str, ...] = ()
    user_name: str = ""
    is_user_pinned: bool = False
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    pk: None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Program":
        """Read what the database tells of a key."""
        center = row["cost_center_id"]
        return cls(
            UUID(row["id"]),
            UUID(row["organization_id"]),
            row["name"],
            tuple(row["scopes"]),
            UUID(center) if center else None,
            row["is_cost_center_pinned"],
            tuple(row["allowed_cost_centers"]),
            row["user_name"],
            row["is_user_pinned"],
        )

    def may(self, scope: str) -> bool:
        """Say whether the key may do this; one without scopes may do everything."""
        return not self.scopes or scope in self.scopes

    @property
    def is_narrowed(self) -> bool:
        """Say whether the key books to, and sees, a part of the organization only."""
        return self.is_cost_center_pinned or bool(self.allowed_cost_centers)
