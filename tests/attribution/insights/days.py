"""An organization whose spend of each day a test decides, through real calls."""

import itertools
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from django.utils import timezone

from attribution import calendar
from attribution.insights import detection
from attribution.insights.models import Anomaly
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import CostCenter, Organization
from budgets.reservations import ingest
from budgets.reservations.ingest import Event
from tests.factories import make_cost_center, make_department, make_organization

MODEL = "gpt-4.1"


def usd(*texts: str) -> tuple[Decimal, ...]:
    """Return amounts."""
    return tuple(Decimal(text) for text in texts)


class Days:
    """Spend by day, `ago` days before today; everything is committed."""

    def __init__(self, *, zone: str = "UTC", **settings: Any) -> None:
        self.organization: Organization = make_organization(time_zone=zone, **settings)
        self.zone = ZoneInfo(zone)
        self.at = timezone.now()
        self.today = calendar.local_day(self.at, self.zone)
        self.numbers = itertools.count()
        self.events: list[Event] = []
        with tenant(self.organization.pk):
            self.department = make_department()
            self.centers = {
                code: make_cost_center(code=code, department=self.department)
                for code in ("RND", "SALES")
            }

    def center(self, code: str) -> CostCenter:
        """Return a cost center."""
        return self.centers[code]

    def moment(self, ago: int, *, hour: int = 0) -> datetime:
        """Return an instant of a day."""
        day = self.today - timedelta(days=ago)
        start = calendar.day_start(day, self.zone)
        return max(start + timedelta(hours=hour, seconds=1), start)

    def spend(
        self,
        ago: int,
        cost: str,
        *,
        center: str = "RND",
        model: str = MODEL,
        hour: int = 0,
        **columns: Any,
    ) -> None:
        """Add a call that cost so much."""
        at = self.moment(ago, hour=hour)
        told: dict[str, Any] = {
            "tokens": Tokens(input=1000),
            "cost": Decimal(cost),
            "cost_center": center,
        }
        number = str(next(self.numbers))
        self.events.append(Event("test", number, at, model, "test", columns=columns, **told))

    def every_day(self, count: int, cost: Callable[[int], str] | str, **columns: Any) -> None:
        """Add a call on each of the last complete days."""
        for ago in range(count, 0, -1):
            self.spend(ago, cost if isinstance(cost, str) else cost(ago), **columns)

    def record(self) -> None:
        """Record the calls that were added, and fold them."""
        if self.events:
            times = [event.occurred_at.date() for event in self.events]
            ingest.prepare(min(times), max(times))
            with tenant(self.organization.pk):
                answers = ingest.record(self.events)
            assert {answer.result for answer in answers} == {"recorded"}
            self.events = []
        rollups.advance()

    def look(self, *, at: datetime | None = None) -> list[Anomaly]:
        """Fold, judge and return what stands, of days and hours, keys last."""
        self.record()
        with tenant(self.organization.pk):
            detection.judge_days(at=at or timezone.now())
        return self.anomalies()

    def anomalies(self, **conditions: Any) -> list[Anomaly]:
        """Return the anomalies that stand."""
        with tenant(self.organization.pk):
            rows = Anomaly.objects.filter(**conditions).select_related("cost_center")
            return list(rows.order_by("api_key_id", "granularity", "starts_at", "model"))

    def by_day(self) -> list[Anomaly]:
        """Return the anomalies of days, of all keys together."""
        return self.anomalies(granularity="day", api_key_id=None)

    def top_up(self, amount: str, *, ago: int = 0) -> None:
        """Book a purchase: an entry that is of no call."""
        at = self.moment(ago)
        month = datetime.combine(at.astimezone(UTC).date().replace(day=1), time.min, UTC)
        owner = os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])
        with psycopg.connect(owner) as connection:
            connection.execute(
                "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
                [str(self.organization.pk)],
            )
            connection.execute(
                "INSERT INTO ledger_entry (id, organization_id, kind, account, token_class, quantity,"
                " usd_amount, call_count, cost_center_id, occurred_at, posted_at, booked_month, reason)"
                " VALUES (uuid7_at(now()), %s, 'adjust', 'spent', '', 0, %s, 0, %s, %s, now(), %s, 'top-up')",
                [self.organization.pk, Decimal(amount), self.center("RND").pk, at, month.date()],
            )

    def key(self) -> dict[str, Any]:
        """Return the columns of a call of a key."""
        made = uuid.uuid4()
        return {"api_key_id": str(made), "api_key_name": f"key {made.hex[:4]}"}
