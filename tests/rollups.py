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

    def __init__(self, connection: psycopg.Connection, time_zone: str) -> None:
        self.connection = connection
        self.organization_id = uuid4()
        self.connection.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(self.organization_id)],
        )
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


@contextmanager
def books(owner_dsn: str, *, time_zone: str = "UTC") -> Iterator[Books]:
    """Commit what is written inside; the organization is new, so nothing needs to be removed."""
    with psycopg.connect(owner_dsn) as connection:
        yield Books(connection, time_zone)
