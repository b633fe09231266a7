"""What every panel of a page needs: filters, cost centers with their hues, and the instant."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from django.utils.translation import gettext

from attribution import calendar
from attribution.dashboards import charts
from attribution.reports.filters import Filters, named


@dataclass(frozen=True, slots=True)
class Center:
    """A cost center as charts show it: its code, and a hue that is the same on every page."""

    code: str
    name: str
    hue: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What every panel needs: what is looked at, by whose cost centers, when."""

    filters: Filters
    centers: Mapping[UUID, Center]
    at: datetime

    @property
    def today(self) -> date:
        """Return the running day of the organization."""
        return calendar.local_day(self.at, self.filters.range.zone)

    @property
    def month(self) -> Filters:
        """Return the same filters over the running month."""
        zone = self.filters.range.zone
        return replace(self.filters, range=named("month", today=self.today, zone=zone))

    def code(self, center_id: UUID | None) -> str:
        """Return the code of a cost center; calls without one are a line of their own."""
        center = self.centers.get(center_id) if center_id else None
        return center.code if center else gettext("not attributed")

    def hue(self, center_id: UUID | None) -> str:
        """Return the hue of a cost center."""
        center = self.centers.get(center_id) if center_id else None
        return center.hue if center else charts.OTHER

    def url(self, center_id: UUID | None) -> str:
        """Return the address of this page for one cost center alone."""
        center = self.centers.get(center_id) if center_id else None
        if center is None or center_id is None:
            return ""
        return f"?{replace(self.filters, cost_centers={center.code: center_id}).urlencode()}"
