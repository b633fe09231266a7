"""Calls as pages show them: lists of them, and one with everything that is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext

from attribution.dashboards.questions import Asked
from attribution.dashboards.scene import Scene
from attribution.ledger.models import LedgerEntry
from attribution.reports import calls
from attribution.reports.filters import FilterError
from attribution.usage.models import CallState, UsageRecord

PAGE = 50
LEVELS = {
    CallState.SETTLED: "good",
    CallState.HELD: "",
    CallState.UNCERTAIN: "warn",
    CallState.DENIED: "bad",
    CallState.RELEASED: "",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A call in a list."""

    call: UsageRecord
    center: str
    state: str
    level: str
    url: str

    @property
    def tokens(self) -> int:
        """Return the tokens of all classes."""
        return sum(self.call.tokens.values())

    @property
    def model(self) -> str:
        """Return the model that billed, else the one that was asked for."""
        return self.call.model_billed or self.call.model_requested


@dataclass(frozen=True, slots=True)
class Book:
    """A page of calls and where the next one is."""

    lines: Sequence[Line]
    is_first: bool
    first_url: str
    next_url: str


def read(scene: Scene, asked: Asked, *, before: str) -> Book:
    """Return the calls of a question, the newest first, from before an id."""
    found = calls.read(
        asked.filters, asked.question, at=scene.at, before=_before(before), limit=PAGE
    )
    here = asked.url()
    return Book(
        [line(scene, call) for call in found.calls],
        not before,
        here,
        f"{here}&before={found.before}" if found.before else "",
    )


def line(scene: Scene, call: UsageRecord) -> Line:
    """Return a call as a list shows it."""
    state = CallState(call.state)
    label = str(state.label)
    word = gettext("%(state)s, estimated") % {"state": label} if call.is_estimated else label
    url = reverse("attribution:call-show", args=[call.pk])
    return Line(call, scene.code(call.cost_center_id), word, LEVELS[state], url)


def one(scene: Scene, call_id: UUID) -> dict[str, Any] | None:
    """Return one call with its facts and ledger entries; None where it is not there for the person."""
    visible = UsageRecord.objects.filter(pk=call_id)
    if scene.filters.cost_center_ids is not None:
        visible = visible.filter(cost_center_id__in=scene.filters.cost_center_ids)
    call = visible.first()
    if call is None:
        return None
    entries = LedgerEntry.objects.filter(usage_id=call_id).order_by("posted_at", "id")
    return {
        "line": line(scene, call),
        "who": _who(scene, call),
        "what": _what(call),
        "tokens": [(name, count) for name, count in call.tokens.items() if count],
        "entries": list(entries),
    }


def _who(scene: Scene, call: UsageRecord) -> list[tuple[str, str]]:
    facts = [
        (gettext("Cost center"), scene.code(call.cost_center_id)),
        (gettext("API key"), call.api_key_name),
        (gettext("User"), call.user_id),
        (gettext("Feature"), call.feature),
        (gettext("Path"), call.path),
        (gettext("Prompt"), call.prompt_name or bytes(call.prompt_fp or b"").hex()),
        (gettext("Environment"), call.environment),
        (gettext("Session"), call.session_id),
        (gettext("Program"), call.user_agent),
    ]
    return [(name, value) for name, value in facts if value]


def _what(call: UsageRecord) -> list[tuple[str, str]]:
    facts = [
        (gettext("Requested model"), call.model_requested),
        (gettext("Billed model"), call.model_billed),
        (gettext("Provider"), call.provider),
        (gettext("Service tier"), call.service_tier),
        (gettext("Wire format"), call.wire_format),
        (gettext("Where the cost comes from"), call.get_cost_source_display()),
        (gettext("Error"), call.error_code),
        (gettext("Source"), call.source),
        (gettext("Request at the provider"), call.upstream_request_id),
    ]
    return [(name, value) for name, value in facts if value]


def _before(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise FilterError(f"before: {text[:40]}") from error
