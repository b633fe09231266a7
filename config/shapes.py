"""The JSON shapes of our own endpoints, for the published OpenAPI document."""

from typing import Any

from attribution.prices.tokens import CLASSES
from attribution.reports.breakdown import COLUMNS, FACETS, INTERVALS
from budgets.reservations.ingest import MOST
from budgets.reservations.reported import LONGEST, MOST_MS, MOST_TOKENS
from gateway.proxy.protocols.errors import REFUSALS

Shape = dict[str, Any]

AMOUNT: Shape = {"type": "string", "description": "US dollars", "pattern": r"^-?\d+(\.\d+)?$"}
INSTANT: Shape = {"type": "string", "format": "date-time"}
DAY: Shape = {"type": "string", "format": "date"}
TEXT: Shape = {"type": "string"}
COUNT: Shape = {"type": "integer", "minimum": 0}
FLAG: Shape = {"type": "boolean"}
MESSAGES = {  # codes of the web role beside those of every refusal
    "invalid_filter": "a parameter cannot be meant; `param` names it",
    "not_allowed": "the person's role may not do this",
    "too_many_rows": "the answer would be too long; ask for less",
}


def maybe(shape: Shape) -> Shape:
    """Return a shape that may be null."""
    return {**shape, "nullable": True}


def named(name: str) -> Shape:
    """Return a reference to a shape of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(shape: Shape) -> Shape:
    """Return a list of a shape."""
    return {"type": "array", "items": shape}


def made(properties: Shape, *, optional: tuple[str, ...] = ()) -> Shape:
    """Return an object whose members stand there always, but for the optional ones."""
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed}


def keyed(shape: Shape, description: str = "") -> Shape:
    """Return an object with any names, all of one shape."""
    return {"type": "object", "additionalProperties": shape, "description": description}


ERROR = made(
    {
        "error": made(
            {"code": TEXT, "message": TEXT, "param": maybe(TEXT), "type": TEXT},
            optional=("param", "type"),
        )
    }
)
CODES = sorted({*REFUSALS, *MESSAGES, "too_old", "in_the_future", "cost_too_large"})

# -- POST /v1/usage

TOKENS = {name: {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS} for name in CLASSES}
_MS: Shape = {"type": "integer", "minimum": 0, "maximum": MOST_MS}
EVENT: Shape = {
    "type": "object",
    "additionalProperties": False,
    "required": ["source", "event_id", "occurred_at", "model"],
    "properties": {
        **{name: {"type": "string", "maxLength": most} for name, most in LONGEST.items()},
        "occurred_at": INSTANT,
        "usage": {
            "type": "object",
            "description": "Disjoint token classes; needed unless cost_usd is stated.",
            "additionalProperties": False,
            "properties": {**TOKENS, "web_searches": TOKENS["input"]},
        },
        "cost_usd": {
            **AMOUNT,
            "description": "What the provider charged; without it the call is priced by us.",
            "pattern": r"^\d+(\.\d+)?$",
        },
        "status": {"type": "integer", "minimum": 100, "maximum": 599},
        "latency_ms": _MS,
        "first_byte_ms": _MS,
        "error_code": TEXT,
        "is_stream": FLAG,
        "prompt_name": {"type": "string", "pattern": "^[A-Za-z0-9._@-]{1,64}$"},
        "cost_center": TEXT,
        "user_id": TEXT,
        "user": TEXT,
        "safety_identifier": TEXT,
        "path": TEXT,
        "request_path": TEXT,
        "feature": TEXT,
        "session_id": TEXT,
        "feature_flag": TEXT,
        "environment": TEXT,
        "tags": keyed(TEXT),
        "metadata": keyed({}),
    },
}
EVENTS: Shape = {
    "oneOf": [
        made({"events": {**listed(named("Event")), "minItems": 1, "maxItems": MOST}}),
        named("Event"),
    ]
}
RECORDED = made(
    {
        "recorded": COUNT,
        "duplicate": COUNT,
        "rejected": COUNT,
        "events": listed(
            made(
                {
                    "event_id": maybe(TEXT),
                    "result": {"type": "string", "enum": ["recorded", "duplicate", "rejected"]},
                    "call_id": {"type": "string", "format": "uuid"},
                    "cost_usd": maybe(AMOUNT),
                    "error": made(
                        {"code": TEXT, "message": TEXT, "param": TEXT}, optional=("param",)
                    ),
                },
                optional=("call_id", "cost_usd", "error"),
            )
        ),
    }
)

# -- costs

_FIGURES: Shape = {
    "requests": COUNT,
    "unpriced_requests": COUNT,
    "estimated_requests": COUNT,
    "tokens": keyed({"type": "integer"}, "token class → tokens"),
    "total_tokens": COUNT,
    "cost_usd": AMOUNT,
    "uncertain_usd": AMOUNT,
    "cost_per_million_tokens_usd": maybe(AMOUNT),
    "latency_ms": made({name: maybe(TEXT) for name in ("average", "p50", "p95")}),
}
_HEAD: Shape = {
    "start": INSTANT,
    "end": INSTANT,
    "time_zone": TEXT,
    "as_of": maybe(INSTANT),
    "currency": {"type": "string", "enum": ["USD"]},
    "cost_centers": maybe({**listed(TEXT), "description": "those the asker is narrowed to"}),
}
COSTS = made(
    {
        **_HEAD,
        "group_by": listed(TEXT),
        "interval": maybe({"type": "string", "enum": [*INTERVALS, None]}),
        "total": named("Figures"),
        "breakdown": keyed({}, "group → … → figures, the dearest first; with `series` by interval"),
    }
)
SUMMARY = made(
    {
        **_HEAD,
        "data": listed(
            made(
                {
                    "cost_center": maybe(TEXT),
                    "model": TEXT,
                    "prompt_tokens": COUNT,
                    "completion_tokens": COUNT,
                    **_FIGURES,
                }
            )
        ),
    }
)
PARAMETERS = {
    "start": "A day of the organization, or an instant on a full hour; default 30 days ago.",
    "end": "A day that still counts, or an instant that does not; default today.",
    "group_by": f"Names with commas: any of {', '.join(COLUMNS)}, and one of "
    f"{', '.join(FACETS)}. Default cost_center,model.",
    "interval": "hour, day or month of the organization: adds `series`.",
}

# -- estimates and budgets

_RATES = keyed(maybe(AMOUNT))
ESTIMATED = made(
    {
        "model": TEXT,
        "upper_bound_usd": maybe(AMOUNT),
        "expected_usd": maybe(AMOUNT),
        "price": maybe(
            made(
                {
                    "version": {"type": "integer"},
                    "provider": TEXT,
                    "model": TEXT,
                    "usd_per_million_tokens": _RATES,
                    "usd_per_fee": _RATES,
                }
            )
        ),
        "tokens": made({"input_at_most": COUNT, "output_at_most": COUNT}),
        "shortened_to": maybe({"type": "integer"}),
        "admitted": FLAG,
        "refusal": maybe({"type": "string", "enum": ["budget_exceeded", "budget_reserved", None]}),
        "budgets": listed(
            made(
                {
                    "id": {"type": "string", "format": "uuid"},
                    "name": TEXT,
                    "enforcement": TEXT,
                    "remaining": maybe(AMOUNT),
                    "needed": AMOUNT,
                }
            )
        ),
    }
)
ESTIMATE: Shape = {
    "type": "object",
    "description": "The body of a call, and its path.",
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "example": "/v1/chat/completions"},
        "model": TEXT,
    },
    "additionalProperties": {},
}
FORECAST = made(
    {
        "status": {"type": "string", "enum": ["ok", "insufficient_data", "stale"]},
        "method": maybe(TEXT),
        **{name: maybe(AMOUNT) for name in ("p10", "p50", "p90")},
        "data_through": maybe(DAY),
        "exhausted_on": maybe(DAY),
    }
)
BUDGETS = made(
    {
        "data": listed(
            made(
                {
                    "id": {"type": "string", "format": "uuid"},
                    "name": TEXT,
                    "scope": TEXT,
                    "filters": keyed({}),
                    "enforcement": TEXT,
                    "period": TEXT,
                    "starts_at": INSTANT,
                    "ends_at": INSTANT,
                    **{
                        name: maybe(AMOUNT)
                        for name in ("limit", "spent", "held", "uncertain", "remaining")
                    },
                    "state": maybe(TEXT),
                    "forecast": maybe(FORECAST),
                }
            )
        )
    }
)

COMPONENTS = {"Error": ERROR, "Event": EVENT, "Figures": made(_FIGURES)}
