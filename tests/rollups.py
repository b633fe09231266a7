"""An organization with rollups as the ledger would make them; pages and reports are read over it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from attribution import calendar
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Department, Organization, Role, User
from tests.factories import (
    make_budget,
    make_cost_center,
    make_department,
    make_member,
    make_organization,
)


class Books:
    """An organization, and rollups written through the owner's connection; everything is committed."""

    def __init__(self, connection: psycopg.Connection, organization_id: UUID) -> None:
        self.connection = connection
        self.organization_id = organization_id
        with tenant(organization_id):
            self.zone = ZoneInfo(Organization.objects.get(pk=organization_id).time_zone)
        self.connection.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(organization_id)],
        )

    def rollup(
        self,
        bucket: datetime,
        *,
        value: str = "gpt-4.1",
        facet: str = "model",
        center: UUID | None = None,
        cost: str = "0",
        calls: int = 1,
        tokens: int = 0,
        unpriced: int = 0,
        waited_ms: int = 0,
    ) -> None:
        """Add one rollup row."""
        model = value if facet == "model" else ""
        for grain, named in self.grains(bucket):
            self.connection.execute(
                "INSERT INTO rollup (organization_id, grain, facet, bucket, cost_center_id, provider, model,"
                " value, calls, unpriced_calls, estimated_calls, usd_amount, uncertain_amount, input_tokens,"
                " cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,"
                " reasoning_tokens, audio_input_tokens, audio_cache_read_tokens, audio_output_tokens,"
                " latency_sum_ms, latency_calls)"
                " VALUES (%s, %s, %s, %s, %s, '', %s, %s, %s, %s, 0, %s, 0, %s, 0, 0, 0, 0, 0, 0, 0, 0, %s, %s)"
                " ON CONFLICT ON CONSTRAINT rollup_key DO UPDATE SET calls = rollup.calls + excluded.calls,"
                " unpriced_calls = rollup.unpriced_calls + excluded.unpriced_calls,"
                " usd_amount = rollup.usd_amount + excluded.usd_amount,"
                " input_tokens = rollup.input_tokens + excluded.input_tokens,"
                " latency_sum_ms = rollup.latency_sum_ms + excluded.latency_sum_ms,"
                " latency_calls = rollup.latency_calls + excluded.latency_calls",
                [
                    *(self.organization_id, grain, facet, named, center, model, value),
                    *(calls, unpriced, Decimal(cost), tokens),
                    *(waited_ms, calls if waited_ms else 0),
                ],
            )

    def grains(self, bucket: datetime) -> list[tuple[str, datetime]]:
        """Return every grain with the bucket that an hour's is part of."""
        day = calendar.local_day(bucket, self.zone)
        dates = (("day", day), ("month", calendar.month_start(day)))
        names = [(grain, datetime.combine(date, time.min, UTC)) for grain, date in dates]
        return [("hour", bucket), *names]

    def latencies(self, bucket: datetime, durations: list[int], *, model: str = "gpt-4.1") -> None:
        """Add calls of these durations, in milliseconds, to histogram and sums."""
        steps = [
            math.ceil(round(math.log(ms) / math.log(1.04), 9)) if ms > 1 else 0 for ms in durations
        ]
        for step in set(steps):
            for grain, named in self.grains(bucket):
                self.connection.execute(
                    "INSERT INTO latency_rollup (organization_id, grain, bucket, provider, model, step, calls)"
                    " VALUES (%s, %s, %s, '', %s, %s, %s) ON CONFLICT ON CONSTRAINT latency_rollup_key"
                    " DO UPDATE SET calls = latency_rollup.calls + excluded.calls",
                    [self.organization_id, grain, named, model, step, steps.count(step)],
                )
        self.rollup(bucket, value=model, calls=len(durations), waited_ms=sum(durations))

    def budget(
        self, name: str, *, limit: str, spent: str = "0", center: UUID | None = None
    ) -> None:
        """Add a monthly budget whose running period has spent something."""
        scope = "cost_center" if center else "organization"
        with tenant(self.organization_id):
            budget = make_budget(name=name, limit=limit, scope=scope, scope_id=center)
        self.connection.execute(
            "UPDATE budget_period SET spent = %s WHERE budget_id = %s", [Decimal(spent), budget.pk]
        )

    def center(self, code: str, *, department: Department | None = None) -> UUID:
        """Add a cost center."""
        with tenant(self.organization_id):
            made = make_cost_center(code=code, name=code.title(), department=department)
        return made.pk

    def department(self, name: str) -> Department:
        """Add a department."""
        with tenant(self.organization_id):
            return make_department(name=name)

    def person(self, role: Role, *, department: Department | None = None) -> User:
        """Add a person with a role."""
        with tenant(self.organization_id):
            membership = make_member(role=role, department=department)
        user: User = membership.user
        return user


@contextmanager
def books(
    owner_dsn: str, *, time_zone: str = "UTC", organization_id: UUID | None = None
) -> Iterator[Books]:
    """Commit what is written inside, into a new organization unless an id is given.

    Every organization is a new one, so nothing needs to be removed afterwards.
    """
    served = organization_id or make_organization(time_zone=time_zone).pk
    with psycopg.connect(owner_dsn) as connection:
        yield Books(connection, served)
