"""Which anomalies a person may look at: of the cost centers they see, engineers those of their keys."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string

from attribution.insights.models import Anomaly
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest


def visible(request: OrganizationRequest) -> QuerySet[Anomaly]:
    """Return the anomalies this person may look at.

    Of single keys, others than engineers see those that people were told of: nothing else tells them.
    """
    rows = Anomaly.objects.select_related("cost_center", "status_by")
    if access.is_narrowed(request):
        rows = rows.filter(cost_center__in=access.cost_centers(request))
    if access.role_of(request) == roles.ENGINEER:
        return rows.filter(api_key_id__in=_own_keys(request))
    return rows.filter(Q(api_key_id=None) | Q(is_alerting=True))


def anomaly(request: OrganizationRequest, public_id: str) -> Anomaly:
    """Return an anomaly this person may look at; 404 for any other id."""
    return access.loaded(visible(request), public_id)


def _own_keys(request: OrganizationRequest) -> set[UUID]:
    find: Callable[[OrganizationRequest], set[UUID]] = import_string(settings.KEYS_OF_PERSON)
    return find(request)
