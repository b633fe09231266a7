"""The ledger's own invariants, each one statement over one snapshot; finds, never mends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from attribution.isolation.transaction import required
from attribution.ledger.models import HOURLY, Grain
from attribution.usage.models import floor_id

MOST = 20  # breaches that are named of each kind
CLOCKS = timedelta(minutes=10)  # how far a call's time may lie after that of its entry
BEGINNING = UUID(int=0)
APPEND_ONLY = ("ledger_entry", "audit_entry", "audit_seal")
WRITERS = ("tollkeeper_app", "tollkeeper_gateway", "tollkeeper_platform")

# The entries of a call against the call: what it cost is on `spent`, its open doubt on `uncertain`.
CALLS = """
WITH entry AS (
  SELECT e.usage_id, sum(e.usd_amount) FILTER (WHERE e.account = 'spent') AS spent,
         count(*) FILTER (WHERE e.account = 'spent') AS lines,
         sum(CASE WHEN e.reverses_id IS NULL THEN 1 ELSE -1 END)
           FILTER (WHERE e.account = 'spent' AND e.usd_amount IS NULL) AS unpriced,
         coalesce(sum(e.usd_amount) FILTER (WHERE e.account = 'uncertain'), 0) AS uncertain,
         sum(e.call_count) AS calls
    FROM ledger_entry e
   WHERE e.organization_id = %(organization)s AND e.usage_id >= %(first)s GROUP BY 1)
SELECT u.id AS call, u.state, u.cost, e.spent, e.uncertain, u.hold_amount AS hold, e.calls
  FROM usage_record u LEFT JOIN entry e ON e.usage_id = u.id
 WHERE u.organization_id = %(organization)s AND u.id >= %(first)s
   AND CASE u.state
         WHEN 'settled' THEN coalesce(e.lines, 0) = 0 OR e.uncertain <> 0 OR e.calls <> 1
              OR (CASE WHEN e.unpriced > 0 THEN NULL ELSE e.spent END) IS DISTINCT FROM u.cost
         WHEN 'uncertain' THEN e.uncertain IS DISTINCT FROM u.hold_amount OR e.lines <> 0 OR e.calls <> 1
         ELSE coalesce(e.spent, 0) <> 0 OR coalesce(e.uncertain, 0) <> 0 OR coalesce(e.calls, 0) <> 0 END
 LIMIT %(most)s
"""
# An entry whose call is gone before retention took it.
STRAYS = """
SELECT e.id AS entry, e.usage_id AS call, e.usd_amount AS amount FROM ledger_entry e
  LEFT JOIN usage_record u ON u.id = e.usage_id
  JOIN organization o ON o.id = e.organization_id
 WHERE e.organization_id = %(organization)s AND e.usage_id >= %(first)s AND u.id IS NULL
   AND e.usage_id >= uuid7_floor(clock_timestamp() - make_interval(days => o.retention_days))
 LIMIT %(most)s
"""
# Every facet and grain of the rollups against the entries up to the watermark, exactly; of late hours,
# whose entries were all posted since then, hours alone.
ROLLUPS = """
WITH entry AS (
  SELECT coalesce(sum(e.usd_amount) FILTER (WHERE e.account = 'spent'), 0) AS spent,
         coalesce(sum(e.usd_amount) FILTER (WHERE e.account = 'uncertain'), 0) AS uncertain,
         coalesce(sum(e.call_count), 0) AS calls,
         coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'input'), 0) AS input,
         coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'output'), 0) AS output
    FROM ledger_entry e JOIN rollup_watermark w ON e.xid < w.xid
   WHERE e.organization_id = %(organization)s AND e.occurred_at >= %(hour)s AND e.id >= %(posted)s),
facet AS (
  SELECT f.facet, g.grain, coalesce(sum(r.usd_amount), 0) AS spent, coalesce(sum(r.uncertain_amount), 0) AS uncertain,
         coalesce(sum(r.calls), 0) AS calls, coalesce(sum(r.input_tokens), 0) AS input,
         coalesce(sum(r.output_tokens), 0) AS output
    FROM unnest(ARRAY['model', 'user', 'key', 'feature', 'path', 'prompt', 'environment']) f(facet)
    CROSS JOIN unnest(%(grains)s::text[]) g(grain)
    LEFT JOIN rollup r ON r.organization_id = %(organization)s AND r.facet = f.facet AND r.grain = g.grain
     AND r.bucket >= %(hour)s
   WHERE g.grain <> 'hour' OR f.facet = ANY (%(hourly)s) GROUP BY 1, 2)
SELECT f.facet, f.grain, e.spent AS ledger, f.spent AS rollup, e.uncertain AS ledger_uncertain,
       f.uncertain AS rollup_uncertain, e.calls AS ledger_calls, f.calls AS rollup_calls
  FROM facet f, entry e
 WHERE (f.spent, f.uncertain, f.calls, f.input, f.output) <> (e.spent, e.uncertain, e.calls, e.input, e.output)
 LIMIT %(most)s
"""
# Tables, partitions included, that let a row be changed: no enabled trigger, or a grant to do it.
TRIGGERS = """
SELECT c.relname::text AS "table", t.name AS missing
  FROM unnest(%(tables)s::text[]) AS wanted(name)
  JOIN pg_class p ON p.oid = to_regclass('public.' || wanted.name)
  JOIN LATERAL (SELECT p.oid AS id UNION ALL SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = p.oid) part ON true
  JOIN pg_class c ON c.oid = part.id
  JOIN LATERAL (VALUES (wanted.name || '_append_only', true), (wanted.name || '_no_truncate', c.oid = p.oid)) t(name, needed) ON t.needed
 WHERE NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = t.name AND g.tgenabled IN ('O', 'A'))
 LIMIT %(most)s
"""
GRANTS = """
SELECT r.rolname::text AS role, t.name AS "table", k.kind AS may
  FROM pg_roles r, unnest(%(tables)s::text[]) t(name), unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) k(kind)
 WHERE r.rolname = ANY (%(writers)s) AND NOT r.rolsuper
   AND r.oid <> (SELECT c.relowner FROM pg_class c WHERE c.oid = to_regclass('public.' || t.name))
   AND has_table_privilege(r.oid, to_regclass('public.' || t.name), k.kind)
 LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Breach:
    """One invariant that does not hold, with the figures that show it.

    `is_closing` says whether money may be wrong, so that no further call may be admitted; a derived
    figure that can be rebuilt, or a call that waits for a person, is reported only.
    """

    invariant: str
    meaning: str
    figures: Mapping[str, str] = field(default_factory=dict)
    is_closing: bool = True

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"{self.invariant} {self.meaning}: {figures}"


def verify(*, since: datetime | None = None) -> list[Breach]:
    """Return what does not hold in the organization being served; `since` narrows it to later calls."""
    first = floor_id(since) if since else BEGINNING
    scope = {"organization": required(), "first": first, "most": MOST}
    tables = {"tables": list(APPEND_ONLY), "writers": list(WRITERS), "most": MOST}
    return [
        *breaches("I8", "a call differs from its ledger entries", CALLS, scope),
        *breaches("I3", "a ledger entry has no call", STRAYS, scope),
        *breaches(
            "I8", "rollups differ from the ledger", ROLLUPS, scope | _hours(since), is_closing=False
        ),
        *breaches("I9", "rows could be changed: a trigger is missing", TRIGGERS, tables),
        *breaches("I9", "rows could be changed: a right is granted", GRANTS, tables),
    ]


def _hours(since: datetime | None) -> dict[str, Any]:
    """Return which rollups are checked: all, or the hours since the one that holds an instant."""
    if since is None:
        every = {"grains": list(Grain.values), "hourly": sorted(HOURLY)}
        return every | {"hour": "-infinity", "posted": BEGINNING}
    hour = since.replace(minute=0, second=0, microsecond=0)
    late = {"grains": [Grain.HOUR], "hourly": sorted(HOURLY)}
    return late | {"hour": hour, "posted": floor_id(hour - CLOCKS)}


def breaches(
    invariant: str,
    meaning: str,
    sql: str,
    arguments: Mapping[str, Any],
    *,
    is_closing: bool = True,
) -> list[Breach]:
    """Run a statement that returns what breaks an invariant: one row each, figures in its columns."""
    with connection.cursor() as cursor:
        # Whole tables are summed: without fresh statistics the planner would walk indexes row by row.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(sql, arguments)
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = on")
    return [
        Breach(invariant, meaning, dict(zip(names, map(str, row), strict=True)), is_closing)
        for row in rows
    ]
