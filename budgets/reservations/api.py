"""`POST /v1/usage`: programs report calls that they made elsewhere."""

from datetime import datetime, timedelta
from typing import Any

from django.db import DataError
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from attribution import money
from attribution.isolation.transaction import tenant
from attribution.tenancy.api import ApiError, JsonView, answer
from attribution.tenancy.models import CostCenter, Organization
from attribution.tenancy.program import Program
from attribution.usage import dimensions
from attribution.usage.dimensions import HouseRules
from budgets.reservations import ingest
from budgets.reservations.ingest import MOST, Event, Recorded
from budgets.reservations.reported import Reader, ReportError

EARLY = timedelta(seconds=5)  # what clocks may differ by
MESSAGES = {
    "too_old": "the call is older than the organization keeps calls",
    "in_the_future": "the call has not happened yet",
    "unknown_cost_center": "there is no such cost center",
    "cost_too_large": "no single call costs as much",
}
PARAMS = {"unknown_cost_center": "cost_center", "cost_too_large": "cost_usd"}


class Usage(JsonView):
    """Calls made elsewhere, once for ever by source and event id."""

    key_scope = "ingest"

    def post(self, request: Request) -> HttpResponse:
        """Record one event, or up to 10,000; in one transaction, answered in the order given."""
        program, items = self.for_program(request), _items(request.data)
        try:
            told = _record(program, items, at=timezone.now())
        except DataError as error:
            raise ApiError("invalid_amount", "The amounts are out of range.", status=422) from error
        counts = dict.fromkeys(("recorded", "duplicate", "rejected"), 0)
        for one in told:
            counts[one["result"]] += 1
        status = 202 if counts["recorded"] else 200 if counts["duplicate"] else 422
        return answer({**counts, "events": told}, status=status)


def _items(body: Any) -> list[Any]:
    """Return the events of a body: those of its list, or the one that it is."""
    if not isinstance(body, dict) or not body:
        raise ApiError("invalid_request", "The body is an event, or an object with events.")
    if "events" not in body:
        return [body]
    events = body["events"]
    if not isinstance(events, list) or len(body) > 1:
        raise ApiError("invalid_request", "events is a list, and stands alone.", param="events")
    if not 0 < len(events) <= MOST:
        raise ApiError("invalid_request", f"One to {MOST} events at once.", param="events")
    return events


def _record(program: Program, items: list[Any], *, at: datetime) -> list[dict[str, Any]]:
    with tenant(program.organization_id):
        organization = Organization.objects.get(pk=program.organization_id)
        reader = _reader(program, organization)
    oldest = at - timedelta(days=organization.retention_days)
    told = [_read(reader, item, oldest=oldest, newest=at + EARLY) for item in items]
    events = [one for one in told if isinstance(one, Event)]
    if events:
        days = [event.occurred_at.date() for event in events]
        ingest.prepare(min(days), max(days))
    with tenant(program.organization_id):
        answers = iter(ingest.record(events))
    return [_told(next(answers)) if isinstance(one, Event) else one for one in told]


def _reader(program: Program, organization: Organization) -> Reader:
    """Return who reads the events: by the rules of the key and of the house."""
    wanted = [program.cost_center_id, organization.default_cost_center_id]
    codes = dict(
        CostCenter.objects.filter(pk__in=[w for w in wanted if w]).values_list("pk", "code")
    )
    own, home = (codes.get(one) if one else None for one in wanted)
    rules = dimensions.key_rules(
        {
            "user_name": program.user_name,
            "is_cost_center_pinned": program.is_cost_center_pinned,
            "is_user_pinned": program.is_user_pinned,
            "allowed_cost_centers": program.allowed_cost_centers,
        },
        own,
    )
    columns = {"api_key_id": str(program.key_id), "api_key_name": program.name}
    return Reader(rules, HouseRules(home), columns)


def _read(
    reader: Reader, item: object, *, oldest: datetime, newest: datetime
) -> Event | dict[str, Any]:
    """Return the event, or the answer to one that is none."""
    try:
        event = reader.read(item)
    except ReportError as error:
        name = item.get("event_id") if isinstance(item, dict) else None
        return _rejected(name, error.code, str(error), error.param)
    if oldest <= event.occurred_at <= newest:
        return event
    code = "too_old" if event.occurred_at < oldest else "in_the_future"
    return _rejected(event.event_id, code, MESSAGES[code], "occurred_at")


def _told(recorded: Recorded) -> dict[str, Any]:
    if recorded.error:
        param = PARAMS.get(recorded.error, "occurred_at")
        message = MESSAGES.get(recorded.error, recorded.error)
        return _rejected(recorded.event_id, recorded.error, message, param)
    found: dict[str, Any] = {"event_id": recorded.event_id, "result": recorded.result}
    found["call_id"] = str(recorded.call_id)
    if recorded.result == "recorded":
        found["cost_usd"] = None if recorded.cost is None else money.text(recorded.cost)
    return found


def _rejected(event_id: object, code: str, message: str, param: str) -> dict[str, Any]:
    error = {"code": code, "message": message}
    if param:
        error["param"] = param
    name = event_id[:255] if isinstance(event_id, str) else None
    return {"event_id": name, "result": "rejected", "error": error}
