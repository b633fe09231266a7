"""Whose keys are whose, for pages of lower packages: the settings name this module."""

from uuid import UUID

from attribution.tenancy.access import OrganizationRequest
from gateway.keys import shelf


def of_person(request: OrganizationRequest) -> set[UUID]:
    """Return the ids under which calls know the keys that this person may look at."""
    return {key.lineage for key in shelf.visible(request)}
