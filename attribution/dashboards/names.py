"""What the values of dimensions are called on pages; packages above add the names of what is theirs."""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.dashboards.scene import Scene
from attribution.tenancy.models import Department

DIMENSIONS: dict[str, Promise] = {
    "cost_center": _("Cost center"),
    "department": _("Department"),
    "model": _("Model"),
    "provider": _("Provider"),
    "user": _("User"),
    "api_key": _("API key"),
    "feature": _("Feature"),
    "path": _("Path"),
    "prompt": _("Prompt"),
    "environment": _("Environment"),
}
FINGERPRINT = 32  # hexadecimal digits; a prompt with a name of its own is shown by it

# Values of a dimension -> their names, in the organization being served; what is not there shows itself.
Source = Callable[[Collection[str]], Mapping[str, str]]
SOURCES: dict[str, Source] = {}


class Names:
    """The names of one page's values, each dimension asked once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._known: dict[str, dict[str, str]] = {}

    def learn(self, dimension: str, values: Collection[Any]) -> None:
        """Ask for the names of these values."""
        known = self._known.setdefault(dimension, {})
        unknown = {str(value) for value in values if value} - known.keys()
        if dimension == "department" and unknown:
            rows = Department.objects.filter(pk__in=unknown).values_list("pk", "name")
            known |= {str(pk): name for pk, name in rows}
        elif dimension in SOURCES and unknown:
            known |= SOURCES[dimension](unknown)

    def of(self, dimension: str, value: Any) -> str:
        """Return what a value is called."""
        if dimension == "cost_center":
            return self._scene.code(value if isinstance(value, UUID) else None)
        if not value:
            return gettext("not named")
        name = self._known.get(dimension, {}).get(str(value), str(value))
        if dimension == "prompt" and len(name) == FINGERPRINT:
            return gettext("prompt %(start)s") % {"start": name[:8]}
        return name
