"""An organization with rollups as the ledger would make them; pages and reports are read over it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg


class Books:
    """Writes organizations and rollups through the owner's connection, committed."""

    def __init__(self, connection: psycopg.Connection, organization_id: UUID) -> None:
        self.connection = connection
        self.organization_id = organization_id
        self.connection.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(organization_id)],
        )

    def open(self, time_zone: str) -> None:
        """Add the organization itself."""
        self.connection.execute(
            "INSERT INTO organization (id, slug, name, time_zone, reporting_currency, locale,"
            " fiscal_start_month, retention_days, unknown_cost_center, anomaly_call_usd,"
            " fail_open_when_db_down, policy_epoch, is_active, is_demo, created_at)"
            " VALUES (%s, %s, 'Books', %s, 'USD', 'en', 1, 90, 'refuse', 0.1, false, 1, true, false, now())",
            [self.organization_id, f"books-{self.organization_id.hex[:12]}", time_zone],
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
        self.connection.execute(
            "INSERT INTO rollup (organization_id, facet, bucket, cost_center_id, provider, value, calls,"
            " unpriced_calls, estimated_calls, usd_amount, uncertain_amount, input_tokens,"
            " cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,"
            " reasoning_tokens, audio_input_tokens, audio_cache_read_tokens, audio_output_tokens,"
            " latency_sum_ms, latency_calls)"
            " VALUES (%s, %s, %s, %s, '', %s, %s, %s, 0, %s, 0, %s, 0, 0, 0, 0, 0, 0, 0, 0, %s, %s)",
            [
                *(self.organization_id, facet, bucket, center, value, calls, unpriced),
                *(Decimal(cost), tokens, waited_ms, calls if waited_ms else 0),
            ],
        )

    def latencies(self, bucket: datetime, durations: list[int], *, model: str = "gpt-4.1") -> None:
        """Add calls of these durations, in milliseconds, to histogram and sums."""
        steps = [
            math.ceil(round(math.log(ms) / math.log(1.04), 9)) if ms > 1 else 0 for ms in durations
        ]
        for step in set(steps):
            self.connection.execute(
                "INSERT INTO latency_rollup (organization_id, bucket, provider, model, step, calls)"
                " VALUES (%s, %s, '', %s, %s, %s)",
                [self.organization_id, bucket, model, step, steps.count(step)],
            )
        self.rollup(bucket, value=model, calls=len(durations), waited_ms=sum(durations))

    def budget(
        self, name: str, *, limit: str, spent: str = "0", center: UUID | None = None
    ) -> None:
        """Add a monthly budget whose period holds now."""
        budget_id, scope = uuid4(), "cost_center" if center else "organization"
        self.connection.execute(
            "INSERT INTO budget (organization_id, id, name, scope, scope_id, scope_value, filters, period,"
            " calendar, time_zone, enforcement, wait_ms, created_at)"
            " VALUES (%s, %s, %s, %s, %s, '', '{}', 'month', '{}', '', 'block', 0, now())",
            [self.organization_id, budget_id, name, scope, center],
        )
        self.connection.execute(
            "INSERT INTO budget_period (organization_id, budget_id, enforcement, starts_at, ends_at,"
            " limit_amount, arm, spent, held, uncertain)"
            " VALUES (%s, %s, 'block', date_trunc('month', now(), 'UTC'),"
            " date_trunc('month', now(), 'UTC') + interval '1 month', %s, 1, %s, 0, 0)",
            [self.organization_id, budget_id, Decimal(limit), Decimal(spent)],
        )

    def center(self, code: str, *, department: UUID | None = None) -> UUID:
        """Add a cost center."""
        center_id = uuid4()
        self.connection.execute(
            "INSERT INTO cost_center (organization_id, id, code, name, department_id, gl_account,"
            " is_active, created_at) VALUES (%s, %s, %s, %s, %s, '', true, clock_timestamp())",
            [self.organization_id, center_id, code, code.title(), department],
        )
        return center_id

    def department(self, name: str) -> UUID:
        """Add a department."""
        department_id = uuid4()
        self.connection.execute(
            "INSERT INTO department (organization_id, id, name, is_active, created_at)"
            " VALUES (%s, %s, %s, true, now())",
            [self.organization_id, department_id, name],
        )
        return department_id

    def person(self, role: str, *, department: UUID | None = None) -> UUID:
        """Add a person with a role; return who they are."""
        user_id = uuid4()
        self.connection.execute(
            "INSERT INTO tollkeeper_user (id, email, name, password, language, theme, is_staff, is_active,"
            " is_superuser, created_at)"
            " VALUES (%s, %s, '', '!', '', 'system', false, true, false, now())",
            [user_id, f"{role}-{user_id.hex[:12]}@example.com"],
        )
        self.connection.execute(
            "INSERT INTO membership (organization_id, id, user_id, role, department_id, is_active,"
            " created_at) VALUES (%s, %s, %s, %s, %s, true, now())",
            [self.organization_id, uuid4(), user_id, role, department],
        )
        return user_id


@contextmanager
def books(
    owner_dsn: str, *, time_zone: str = "UTC", organization_id: UUID | None = None
) -> Iterator[Books]:
    """Commit what is written inside, into a new organization unless an id is given.

    Every organization is a new one, so nothing needs to be removed afterwards.
    """
    with psycopg.connect(owner_dsn) as connection:
        made = Books(connection, organization_id or uuid4())
        if organization_id is None:
            made.open(time_zone)
        yield made
