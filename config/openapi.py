"""The published OpenAPI document: which addresses it has, and what the gateway's views mean.

The gateway itself does not import this: its views stay free of what only describes them.
"""

from typing import Any

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

from attribution.reports.api import Analytics, Summary
from attribution.reports.breakdown import DIMENSIONS
from budgets.reservations.api import Usage
from config import shapes
from gateway.proxy.protocols.errors import REFUSALS
from gateway.proxy.view import Budgets, CallView, Estimate, Models

urlpatterns = [
    path("", include("gateway.proxy.urls")),
    path("", include("budgets.reservations.urls")),
    path("", include("attribution.reports.urls")),
]

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
    "X-Budget-Fit": "`clamp`: a shorter answer before a refusal.",
    "Idempotency-Key": "Makes the call happen at most once; up to 255 bytes.",
}
JSON_OBJECT = OpenApiTypes.OBJECT
ERROR = shapes.named("Error")
PLAIN_JSON = {
    "authentication_classes": [],
    "parser_classes": [JSONParser],
    "renderer_classes": [JSONRenderer],
}


def add_components(result: dict[str, Any], **_unused: object) -> dict[str, Any]:
    """Add the shapes that others name; a hook of the settings."""
    result["components"].setdefault("schemas", {}).update(shapes.COMPONENTS)
    return result


def refusals(shape: Any = JSON_OBJECT) -> dict[int, OpenApiResponse]:
    """Describe every refusal under its status; the wire formats have shapes of their own."""
    by_status: dict[int, list[str]] = {}
    for code, refusal in REFUSALS.items():
        by_status.setdefault(refusal.status, []).append(code)
    return {
        status: OpenApiResponse(shape, description=", ".join(f"`{code}`" for code in codes))
        for status, codes in sorted(by_status.items())
    }


def errors(*codes: str) -> dict[int, OpenApiResponse]:
    """Describe refusals of our own endpoints: some codes under each status."""
    by_status: dict[int, list[str]] = {}
    for word in codes:
        status, _, code = word.partition(" ")
        by_status.setdefault(int(status), []).append(f"`{code}`")
    return {
        status: OpenApiResponse(ERROR, description=", ".join(told))
        for status, told in sorted(by_status.items())
    }


KEYED = (
    "401 invalid_api_key",
    "400 conflicting_credentials",
    "403 scope_not_allowed",
    "403 blocked",
)
AWAY = "503 ledger_unavailable"
OFTEN = "429 rate_limited"
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
    summary="The models this key may ask for",
    responses={200: JSON_OBJECT, **errors(*KEYED, AWAY)},
)


def parameter(name: str, text: str, *, is_many: bool = False) -> OpenApiParameter:
    """Describe a parameter of a query."""
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=text, many=is_many)


CHOSEN = [parameter("cost_center", "Codes of cost centers; repeat it for several.", is_many=True)]
USAGE = extend_schema(
    operation_id="usage_record",
    summary="Report calls made elsewhere: one, or up to 10,000 at once",
    description="Once for ever by source and event id. 202: something new was recorded, 200: all "
    "was known, 422: nothing was accepted. Each event says what became of it.",
    request={"application/json": shapes.EVENTS},
    responses={
        202: OpenApiResponse(shapes.RECORDED, description="Something new was recorded."),
        200: OpenApiResponse(shapes.RECORDED, description="Everything was known."),
        422: OpenApiResponse(shapes.RECORDED, description="Nothing was accepted."),
        **errors(
            "400 invalid_request",
            *KEYED,
            OFTEN,
            "413 body_too_large",
            "415 unsupported_encoding",
            AWAY,
        ),
    },
)
FIGURES = (*KEYED, OFTEN, "400 invalid_filter", "403 not_allowed", "422 too_many_rows", AWAY)
NAMED = [name for name in DIMENSIONS if name != "cost_center"]
COSTS = extend_schema(
    operation_id="costs_analyze",
    summary="Requests, tokens, cost and latency by group and interval",
    description="With a key, of the cost centers that it may book to; or with the session of a "
    "person, of those that their pages show.",
    parameters=[
        *(parameter(name, text) for name, text in shapes.PARAMETERS.items()),
        *CHOSEN,
        *(parameter(name, f"Values of {name} that count.", is_many=True) for name in NAMED),
    ],
    responses={200: OpenApiResponse(shapes.COSTS), **errors(*FIGURES)},
)
SUMMARIZED = extend_schema(
    operation_id="costs_summarize",
    summary="One row per cost center and model, the dearest first",
    parameters=[
        parameter("start_date", shapes.PARAMETERS["start"]),
        parameter("end_date", shapes.PARAMETERS["end"]),
        *CHOSEN,
    ],
    responses={200: OpenApiResponse(shapes.SUMMARY), **errors(*FIGURES)},
)
ESTIMATE = extend_schema(
    operation_id="costs_estimate",
    summary="What a call would cost, and whether it would be admitted; makes none",
    parameters=[
        OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)
        for name, text in HEADERS.items()
    ],
    request={"application/json": shapes.ESTIMATE},
    responses={200: OpenApiResponse(shapes.ESTIMATED), **refusals(ERROR)},
)
BUDGETS = extend_schema(
    operation_id="budgets_list",
    summary="The budgets over a call of this key, as they stand now",
    parameters=[
        OpenApiParameter(name, str, OpenApiParameter.HEADER, description=HEADERS[name])
        for name in ("X-Cost-Center", "X-User-ID")
    ],
    responses={
        200: OpenApiResponse(shapes.BUDGETS),
        **errors(*KEYED, OFTEN, "400 unknown_cost_center", "403 attribution_not_allowed", AWAY),
    },
)


def described(view: type[APIView], **methods: Any) -> type[APIView]:
    """Return a view that only describes another."""
    return extend_schema_view(**methods)(type(view.__name__, (view,), PLAIN_JSON))


class DescribedCalls(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Calls, whatever their wire format."""

    target_class = "gateway.proxy.view.CallView"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(CallView, post=CALL)


class DescribedModels(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """The list of models."""

    target_class = "gateway.proxy.view.Models"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Models, get=MODELS)


class DescribedEstimate(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """What a call would cost."""

    target_class = "gateway.proxy.view.Estimate"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Estimate, post=ESTIMATE)


class DescribedBudgets(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """The budgets over a key."""

    target_class = "gateway.proxy.view.Budgets"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Budgets, get=BUDGETS)


class DescribedUsage(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Calls made elsewhere."""

    target_class = "budgets.reservations.api.Usage"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Usage, post=USAGE)


class DescribedCosts(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Costs by group."""

    target_class = "attribution.reports.api.Analytics"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Analytics, get=COSTS)


class DescribedSummary(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Costs by cost center and model."""

    target_class = "attribution.reports.api.Summary"

    def view_replacement(self) -> type[APIView]:
        """Return the view with its description."""
        return described(Summary, get=SUMMARIZED)
