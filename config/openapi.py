"""The published OpenAPI document: which addresses it has, and what the gateway's views mean.

The gateway itself does not import this: its views stay free of what only describes them.
"""

from django.urls import include, path
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from gateway.proxy.protocols.errors import REFUSALS
from gateway.proxy.view import CallView, Models

urlpatterns = [path("", include("gateway.proxy.urls"))]

HEADERS = {
    "X-Cost-Center": "Code of the cost center the call is booked to.",
    "X-User-ID": "Who the call is for.",
    "X-Request-Path": "Path of the program's own request.",
    "X-Feature": "What the call is for.",
    "X-Session-ID": "Session of the user.",
    "X-Feature-Flag": "Feature flag in force.",
    "X-Environment": "Environment of the program.",
    "X-Tags": "Free tags: k=v,k=v.",
    "X-Prompt-Name": "Name of the prompt: name@version.",
    "Idempotency-Key": "Makes the call happen at most once; up to 255 bytes.",
}
JSON_OBJECT = OpenApiTypes.OBJECT
PLAIN_JSON = {"parser_classes": [JSONParser], "renderer_classes": [JSONRenderer]}


def refusals() -> dict[int, OpenApiResponse]:
    """Describe every refusal under its status."""
    by_status: dict[int, list[str]] = {}
    for code, refusal in REFUSALS.items():
        by_status.setdefault(refusal.status, []).append(code)
    return {
        status: OpenApiResponse(JSON_OBJECT, description=", ".join(f"`{code}`" for code in codes))
        for status, codes in sorted(by_status.items())
    }


CALL = extend_schema(
    summary="A call of one wire format, whole or streamed where the format has it",
    description="Body and answer are the provider's own; see the table of endpoints.",
    parameters=[
        OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)
        for name, text in HEADERS.items()
    ],
    request=JSON_OBJECT,
    responses={
        (200, "application/json"): JSON_OBJECT,
        (200, "text/event-stream"): OpenApiTypes.STR,
        **refusals(),
    },
)
MODELS = extend_schema(
    operation_id="models",
    summary="The models this key may ask for",
    responses={200: JSON_OBJECT, 401: refusals()[401]},
)


class DescribedCalls(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Calls, whatever their wire format."""

    target_class = "gateway.proxy.view.CallView"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return extend_schema_view(post=CALL)(type("Calls", (CallView,), PLAIN_JSON))


class DescribedModels(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """The list of models."""

    target_class = "gateway.proxy.view.Models"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return extend_schema_view(get=MODELS)(type("Models", (Models,), PLAIN_JSON))
