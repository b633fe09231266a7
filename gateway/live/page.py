"""What the Live page shows besides its stream: filters, labels, the texts that its script says."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext

from attribution import money
from attribution.dashboards import charts
from attribution.templatetags.tollkeeper import decimal
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from gateway.live import events
from gateway.live.events import Filters
from gateway.routes.models import Route

STEP = 30  # seconds of a bar, and of a line of the file
NAMES = {"cost_center": "cost_centers", "model": "models", "min_cost": "min_cost_usd"}
MODELS = 100  # that the filter offers

Pairs = list[tuple[str, str]]


def filters(query: QueryDict) -> Filters:
    """Read the filters of the page's address; raises AskedError."""
    pairs = [(name, value) for name in NAMES for value in query.getlist(name) if value.strip()]
    return events.filters([(NAMES[name], value) for name, value in pairs], is_split=False)


def build(request: OrganizationRequest, chosen: Filters, query: QueryDict) -> dict[str, Any]:
    """Return what the template shows."""
    rows = list(access.cost_centers(request).order_by("created_at", "code"))
    hues = charts.hues(row.pk for row in rows)
    centers = [{"code": row.code, "name": row.name, "hue": hues[row.pk]} for row in rows]
    names = _model_names()
    asked = {key: value for key, value in query.lists() if key in NAMES}
    return (
        {
            "centers": centers,
            "models": [*names, *(name for name in chosen.models or () if name not in names)],
            "chosen": chosen,
            "least": "" if chosen.min_cost_usd is None else money.text(chosen.min_cost_usd),
            "is_filtered": bool(asked),
            "download_url": f"{reverse('gateway:live-download')}?{urlencode(asked, doseq=True)}",
            "example": example(names),
            "settings": {
                "stream": "/v1/stream/costs",
                "recent": f"{reverse('gateway:live-recent')}?{urlencode(asked, doseq=True)}",
                "hello": {"greet": True, "filters": _told(chosen)},
                "zone": request.organization.time_zone,
                "step": STEP,
                "hues": {center["code"]: center["hue"] for center in centers},
                "texts": texts(),
            },
        }
        | _labels(chosen)
        | _figures(request)
    )


def example(names: Sequence[str]) -> str:
    """Return a call that an engineer can send at once."""
    model = names[0] if names else "gpt-4o-mini"
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return (
        f"curl {settings.TOLLKEEPER_API_URL}/v1/chat/completions \\\n"
        '  -H "Authorization: Bearer $TOLLKEEPER_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )


def texts() -> dict[str, str]:
    """Return what the script says, in the language of the page."""
    return {
        "connecting": gettext("connecting"),
        "live": gettext("live"),
        "paused": gettext("paused"),
        "reconnecting": gettext("connection lost, trying again"),
        "interrupted": gettext("live, but events may be missing"),
        "signed_out": gettext("ended: sign in again"),
        "refused": gettext("ended: this may not be shown to you any more; reload the page"),
        "crowded": gettext("too many streams are open, trying again"),
        "pause": gettext("Pause"),
        "resume": gettext("Resume"),
        "waiting": gettext("New calls meanwhile: %(count)s"),
        "finding": gettext(
            "Spent in the last 15 minutes: %(cost)s USD. Calls: %(calls)s, unusual: %(unusual)s."
        ),
        "since": gettext("counted from %(time)s on"),
        "whole": gettext("the last 15 minutes"),
        "news": gettext("New calls: %(calls)s."),
        "unusual": gettext("unusual"),
        "unusual_call": gettext("Unusual call: %(cost)s USD, %(center)s, %(model)s."),
        "estimated": gettext("estimated"),
        "unpriced": gettext("No price is known."),
        "unnamed": gettext("not named"),
        "no_center": gettext("none"),
        "usual_calls": gettext("usual calls"),
        "unusual_calls": gettext("unusual calls"),
    }


def _figures(request: OrganizationRequest) -> dict[str, str]:
    """Return what the key figures are called, and what they are of."""
    threshold = request.organization.anomaly_call_usd
    decimals = len(money.text(threshold).partition(".")[2])
    above = decimal(threshold, places=max(2, decimals))
    return {
        "spent_now_label": gettext("Last minute (USD)"),
        "spent_label": gettext("Last 15 minutes (USD)"),
        "rate_label": gettext("Rate (USD per hour)"),
        "calls_now_label": gettext("Calls, last minute"),
        "calls_label": gettext("Calls, last 15 minutes"),
        "unusual_label": gettext("Unusual calls"),
        "minute_note": gettext("settled in the last 60 seconds"),
        "window_note": gettext("the last 15 minutes"),
        "rate_note": gettext("if the last 5 minutes went on"),
        "unusual_note": gettext("above %(amount)s USD each") % {"amount": above},
        "unusual_help": gettext(
            "A call is unusual above %(amount)s USD: a setting of the organization."
            " Sums include calls of the filter only; calls without a price are counted, not summed."
        )
        % {"amount": above},
    }


def _model_names() -> list[str]:
    rows = Route.objects.filter(is_active=True).exclude(name__contains="*").order_by("name")
    return list(rows.values_list("name", flat=True)[:MODELS])


def _told(chosen: Filters) -> dict[str, Any]:
    least = chosen.min_cost_usd
    return {
        "cost_centers": chosen.cost_centers,
        "models": chosen.models,
        "min_cost_usd": None if least is None else money.text(least),
    }


def _labels(chosen: Filters) -> dict[str, Any]:
    """Return the labels and addresses of the filters; each keeps what the others chose."""
    least = "" if chosen.min_cost_usd is None else money.text(chosen.min_cost_usd)
    centers: Pairs = [("cost_center", code) for code in chosen.cost_centers or ()]
    models: Pairs = [("model", name) for name in chosen.models or ()]
    models += [("min_cost", least)] if least else []
    count = len(chosen.models or ())
    label = _label(chosen.models or (), gettext("All models"))
    if least:
        above = gettext("from %(amount)s USD") % {"amount": least}
        label = f"{label}, {above}" if count else above
    return {
        "centers_label": _label(chosen.cost_centers or (), gettext("All cost centers")),
        "centers_parameters": models,
        "centers_all_url": f"?{urlencode(models)}",
        "models_label": label,
        "models_parameters": centers,
        "models_all_url": f"?{urlencode(centers)}",
    }


def _label(names: Sequence[str], everything: str) -> str:
    if len(names) < 2:
        return names[0] if names else everything
    return gettext("%(first)s and %(count)s more") % {"first": names[0], "count": len(names) - 1}
