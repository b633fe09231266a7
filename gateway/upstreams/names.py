"""What upstreams are called, for pages of lower packages: the settings name this module."""

from uuid import UUID

from gateway.upstreams.models import Upstream


def by_id() -> dict[UUID, str]:
    """Return the names of the organization's upstreams, archived ones too."""
    return dict(Upstream.objects.values_list("pk", "name"))
