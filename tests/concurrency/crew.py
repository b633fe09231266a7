"""The connections that races run on, and the probe by which they see what an admission did."""

import json
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tests.concurrency.oracle import Standing
from tests.concurrency.store import World

# Admits, and tells how the periods stand before the commit lets others at them.
PROBE = """
CREATE FUNCTION {schema}.race_admit(p jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE began timestamptz := clock_timestamp(); answers jsonb; figures jsonb;
BEGIN
  SELECT jsonb_agg(jsonb_build_array(a.outcome, a.detail)) INTO answers FROM {admit}(p) a;
  PERFORM set_config('app.ledger', 'on', true);
  SELECT jsonb_object_agg(b.id, jsonb_build_array(b.limit_amount::text, b.spent::text, b.held::text, b.uncertain::text, b.hard))
    INTO figures FROM budget_period b WHERE b.id = ANY (ARRAY(SELECT x::bigint FROM jsonb_array_elements_text(p -> 'periods') x));
  PERFORM set_config('app.ledger', '', true);
  RETURN jsonb_build_object('answers', answers, 'figures', figures, 'at', extract(epoch FROM began)::text);
END $$;
ALTER FUNCTION {schema}.race_admit(jsonb) OWNER TO tollkeeper_ledger;
GRANT EXECUTE ON FUNCTION {schema}.race_admit(jsonb) TO tollkeeper_gateway;
"""

Answer = tuple[str, Mapping[str, Any]]


@dataclass
class Crew:
    """The connections that races run on, with a thread for each, and where the probe stands."""

    gateways: list[psycopg.Connection]
    schema: str
    pool: ThreadPoolExecutor

    def admit(
        self, gateway: psycopg.Connection, world: World, calls: list[dict[str, Any]]
    ) -> tuple[list[Answer], dict[int, Standing], float]:
        """Ask one question; return its answers, how the world then stands, when it was asked."""
        body = {"worker": str(world.worker_id), "calls": calls, "periods": world.periods}
        statement = sql.SQL("SELECT {}(%s::jsonb)").format(
            sql.Identifier(self.schema, "race_admit")
        )
        row = gateway.execute(statement, [json.dumps(body)]).fetchone()
        told = row[0] if row else {}
        after = {int(period): Standing.of(said) for period, said in told["figures"].items()}
        return [(why, detail) for why, detail in told["answers"]], after, float(told["at"])


@contextmanager
def crew(
    gateway_dsn: str, owner_dsn: str, *, gateways: int, admit: str = "budgets_admit"
) -> Iterator[Crew]:
    """Connect, and install the probe in front of the admission, or of a variant of it."""
    schema = f"races_{random.getrandbits(32):08x}"
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(
            f"CREATE SCHEMA {schema};"
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO tollkeeper_ledger, tollkeeper_gateway"
        )
        owner.execute(PROBE.format(schema=schema, admit=admit))  # our own name and text
        lines = [
            psycopg.connect(gateway_dsn, autocommit=True, prepare_threshold=0)
            for _ in range(gateways)
        ]
        try:
            with ThreadPoolExecutor(gateways) as pool:
                yield Crew(lines, schema, pool)
        finally:
            for line in lines:
                line.close()
            owner.execute(f"DROP SCHEMA {schema} CASCADE")
