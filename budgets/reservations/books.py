"""The invariants of budgets and holds, and what a breach does: it stops the organization's admissions."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from attribution.audit import trail
from attribution.isolation.transaction import required, tenant
from attribution.ledger import verification
from attribution.ledger.verification import BEGINNING, MOST, Breach, breaches
from attribution.tenancy import policy
from attribution.tenancy.models import Organization
from attribution.usage.models import floor_id

RECENT = timedelta(hours=2)  # how far back the check of every minute looks at single calls
MANY = 100_000  # calls that the check of every minute sums up; periods with more wait for the hourly one

# I1: the counters of a period against the calls that are reserved in it, and against their entries.
# Periods that began before retention are left out: calls that they counted are gone.
PERIODS = """
WITH period AS MATERIALIZED (
  SELECT q.* FROM budget_period q JOIN organization o ON o.id = q.organization_id
   WHERE q.organization_id = %(organization)s AND q.sealed_at IS NULL AND q.ends_at > %(since)s
     AND q.starts_at >= %(opened)s AND q.starts_at >= clock_timestamp() - make_interval(days => o.retention_days)),
entry AS (
  SELECT l.usage_id, sum(l.usd_amount) FILTER (WHERE l.account = 'uncertain') AS uncertain,
         sum(l.usd_amount) FILTER (WHERE l.account = 'spent') AS spent
    FROM ledger_entry l
   WHERE l.organization_id = %(organization)s AND l.usage_id >= uuid7_floor((SELECT min(starts_at) FROM period)) GROUP BY 1),
counted AS (
  SELECT h.budget_period_id AS id, sum(h.amount) FILTER (WHERE u.state = 'held') AS held,
         sum(h.amount) FILTER (WHERE u.state = 'uncertain') AS uncertain,
         sum(u.cost) FILTER (WHERE u.state = 'settled') AS spent,
         sum(e.uncertain) AS uncertain_entries, sum(e.spent) AS spent_entries
    FROM reservation h
    JOIN usage_record u ON u.id = h.usage_id AND u.id >= uuid7_floor((SELECT min(starts_at) FROM period))
    LEFT JOIN entry e ON e.usage_id = u.id
   WHERE h.organization_id = %(organization)s AND h.usage_id >= uuid7_floor((SELECT min(starts_at) FROM period)) GROUP BY 1)
SELECT q.id AS period, q.held, coalesce(s.held, 0) AS held_by_calls,
       q.uncertain, coalesce(s.uncertain, 0) AS uncertain_by_calls, coalesce(s.uncertain_entries, 0) AS uncertain_by_ledger,
       q.spent, coalesce(s.spent, 0) AS spent_by_calls, coalesce(s.spent_entries, 0) AS spent_by_ledger
  FROM period q LEFT JOIN counted s ON s.id = q.id
 WHERE (q.held, q.uncertain, q.spent) <> (coalesce(s.held, 0), coalesce(s.uncertain, 0), coalesce(s.spent, 0))
    OR coalesce(s.uncertain, 0) <> coalesce(s.uncertain_entries, 0) OR coalesce(s.spent, 0) <> coalesce(s.spent_entries, 0)
 LIMIT %(most)s
"""
# I1 of every period, however many calls it has: what it holds against the calls that are open.
OPEN = """
SELECT q.id AS period, q.held, coalesce(s.held, 0) AS held_by_calls FROM budget_period q
  LEFT JOIN (
    SELECT h.budget_period_id AS id, sum(h.amount) AS held FROM reservation h
     WHERE h.usage_id = ANY (ARRAY(SELECT u.id FROM usage_record u
                                    WHERE u.organization_id = %(organization)s AND u.state = 'held')) GROUP BY 1) s ON s.id = q.id
 WHERE q.organization_id = %(organization)s AND q.sealed_at IS NULL AND q.held <> coalesce(s.held, 0)
 LIMIT %(most)s
"""
# I1: a settled call counts in a period whose budget is for others.
STRANGERS = """
SELECT q.id AS period, q.filters, u.id AS call, u.provider, u.provider_model AS model, u.feature, u.environment
  FROM budget_period q JOIN reservation h ON h.budget_period_id = q.id AND h.usage_id >= %(first)s
  JOIN usage_record u ON u.id = h.usage_id AND u.id >= %(first)s AND u.state = 'settled'
 WHERE q.organization_id = %(organization)s AND q.filters IS NOT NULL AND q.ends_at > %(since)s
   AND NOT budgets_matches(q.filters, u.provider, ARRAY[u.route, u.provider_model], u.feature, u.environment)
 LIMIT %(most)s
"""
# I2: a hard period is over its limit though nothing but admissions can have filled it: no limit was
# lowered or budget changed since, and no call was ingested, counted in, re-rated or dearer than its hold.
LIMITS = """
SELECT q.id AS period, q.limit_amount AS "limit", q.spent, q.held, q.uncertain
  FROM budget_period q JOIN budget b ON b.organization_id = q.organization_id AND b.id = q.budget_id
 WHERE q.organization_id = %(organization)s AND q.hard AND q.ends_at > %(since)s
   AND q.spent + q.held + q.uncertain > q.limit_amount
   AND q.lowered_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM audit_entry a WHERE a.organization_id = q.organization_id
                    AND a.object_type = 'budget' AND a.object_id = b.id::text AND a.action = 'budget.changed')
   AND NOT EXISTS (
     SELECT 1 FROM reservation h JOIN usage_record u ON u.id = h.usage_id
      WHERE h.budget_period_id = q.id
        AND (u.source <> 'gateway' OR u.occurred_at < b.created_at OR u.cost > u.hold_amount
             OR EXISTS (SELECT 1 FROM ledger_entry e WHERE e.usage_id = u.id AND e.kind = 'rerate')))
 LIMIT %(most)s
"""
# I3: a hold of no call.
STRAYS = """
SELECT h.usage_id AS call, h.budget_period_id AS period, h.amount FROM reservation h
  LEFT JOIN usage_record u ON u.id = h.usage_id
  JOIN organization o ON o.id = h.organization_id
 WHERE h.organization_id = %(organization)s AND h.usage_id >= %(first)s AND u.id IS NULL
   AND h.usage_id >= uuid7_floor(clock_timestamp() - make_interval(days => o.retention_days))
 LIMIT %(most)s
"""
# I4: dearer than its hold, and nobody was told. A re-rating is told by itself; the hold of an elastic call
# follows its answer and may come late by what was in flight, but never is its whole bound passed.
BOUNDS = """
SELECT u.id AS call, u.cost, u.hold_amount AS hold, u.model_billed AS model FROM usage_record u
 WHERE u.organization_id = %(organization)s AND u.id >= %(first)s AND u.source = 'gateway' AND u.state = 'settled'
   AND u.hold_amount > 0 AND u.cost > u.hold_amount AND u.error_code <> 'bound_breach'
   AND coalesce(u.cost > (u.usage ->> 'elastic')::numeric, true)
   AND NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.usage_id = u.id AND e.kind = 'rerate')
 LIMIT %(most)s
"""
# I5: what calls have cost may never exceed what their periods are charged with.
CHARGES = """
SELECT q.id AS period, sum(u.cost) AS cost, q.spent + q.held + q.uncertain AS charged
  FROM budget_period q JOIN organization o ON o.id = q.organization_id
  JOIN reservation h ON h.budget_period_id = q.id AND h.usage_id >= uuid7_floor(q.starts_at) AND h.usage_id < uuid7_floor(q.ends_at)
  JOIN usage_record u ON u.id = h.usage_id AND u.state = 'settled'
 WHERE q.organization_id = %(organization)s AND q.ends_at > %(since)s
   AND q.starts_at >= %(opened)s AND q.starts_at >= clock_timestamp() - make_interval(days => o.retention_days)
 GROUP BY q.id HAVING sum(u.cost) > q.spent + q.held + q.uncertain
 LIMIT %(most)s
"""
# I6: a hold that outlived its call, and a doubt that nobody has looked at for a week.
HELD = """
SELECT u.id AS call, u.deadline_at AS deadline, u.hold_amount AS hold FROM usage_record u
 WHERE u.organization_id = %(organization)s AND u.state = 'held'
   AND u.deadline_at < clock_timestamp() - interval '75 s'
   AND clock_timestamp() - pg_postmaster_start_time() > interval '35 s'
 LIMIT %(most)s
"""
DOUBTS = """
SELECT u.id AS call, u.settled_at AS since, u.hold_amount AS hold FROM usage_record u
 WHERE u.organization_id = %(organization)s AND u.state = 'uncertain'
   AND u.settled_at < clock_timestamp() - interval '7 days'
 LIMIT %(most)s
"""
# I7: an idempotency key belongs to one call that counts.
KEYS = """
SELECT i.api_key_id AS key, i.usage_id AS call, u.state FROM idempotency i
  LEFT JOIN usage_record u ON u.id = i.usage_id
 WHERE i.organization_id = %(organization)s AND i.usage_id >= %(first)s
   AND coalesce(u.state, 'missing') IN ('denied', 'released', 'missing')
 LIMIT %(most)s
"""

# Since when an organization has had at most so many calls: the end of the last day, in the zone of its
# rollups, with which there were more. They may lag by seconds: this bounds work, it proves nothing.
OPENED = """
SELECT max((d.bucket AT TIME ZONE 'UTC' + interval '1 day') AT TIME ZONE d.time_zone) FROM (
  SELECT r.bucket, z.time_zone, sum(sum(r.calls)) OVER (ORDER BY r.bucket DESC) AS calls
    FROM rollup r JOIN rollup_zone z ON z.organization_id = r.organization_id
   WHERE r.organization_id = %s AND r.grain = 'day' AND r.facet = 'model' GROUP BY 1, 2) d
 WHERE d.calls > %s
"""

logger = logging.getLogger(__name__)


def verify(*, since: datetime | None = None) -> list[Breach]:
    """Return every invariant that does not hold in the organization being served, with figures.

    Each check is one statement and so sees one snapshot: calls that move meanwhile cannot fool it.
    `since` narrows single calls to later ones, and periods to those that end later and whose calls
    are few enough to be summed at any time; the holds of all of them are compared nevertheless.
    """
    scope = {
        "organization": required(),
        "first": floor_id(since) if since else BEGINNING,
        "since": since or "-infinity",
        "opened": _opened() if since else "-infinity",
        "most": MOST,
    }
    return [
        *breaches("I1", "a period's counters differ from its calls", PERIODS, scope),
        *breaches("I1", "a period's holds differ from its open calls", OPEN, scope),
        *breaches("I1", "a call counts in a budget for others", STRANGERS, scope, is_closing=False),
        *breaches("I2", "a hard period admitted more than its limit", LIMITS, scope),
        *breaches("I3", "a hold has no call", STRAYS, scope),
        *breaches(
            "I4", "a call cost more than its hold, unnoticed", BOUNDS, scope, is_closing=False
        ),
        *breaches("I5", "calls cost more than was charged", CHARGES, scope),
        *breaches("I6", "a hold outlived its call", HELD, scope, is_closing=False),
        *_doubts(scope, is_whole=since is None),
        *breaches("I7", "an idempotency key names a call that does not count", KEYS, scope),
        *verification.verify(since=since),
    ]


def guard(organization_id: UUID, *, at: datetime, is_whole: bool = False) -> list[Breach]:
    """Verify what is recent, or the whole books; log every breach, stop admissions where money may be wrong.

    Its own transaction; returns at once when the organization is being verified already. Stopping
    writes no amount: running calls settle, new ones are answered 503, pages stay open, and
    `reopen` takes it back.
    """
    with tenant(organization_id):
        if not _try_lock():
            return []
        found = verify(since=None if is_whole else at - RECENT)
        for breach in found:
            facts = {"organization": str(organization_id), "invariant": breach.invariant}
            logger.error("ledger.breach", extra=facts | {"breach": str(breach)})
        if any(breach.is_closing for breach in found):
            stop(at=at, reason="; ".join(sorted({b.invariant for b in found if b.is_closing})))
    return found


def stop(*, at: datetime, reason: str) -> None:
    """Admit no further call of the organization being served; stopping again changes nothing."""
    organization = Organization.objects.get(pk=required())
    if organization.admissions_stopped_at is not None:
        return
    _switch(organization, at, action="organization.admissions_stopped", reason=reason)


def reopen(*, reason: str) -> list[Breach]:
    """Admit calls again, if the whole books are clean; return what still stands against it."""
    organization = Organization.objects.get(pk=required())
    against = [breach for breach in verify() if breach.is_closing]
    if not against and organization.admissions_stopped_at is not None:
        _switch(organization, None, action="organization.admissions_reopened", reason=reason)
    return against


def _switch(
    organization: Organization, stopped_at: datetime | None, *, action: str, reason: str
) -> None:
    policy.changed(organization.pk)  # no admission is under way between this line and the commit
    Organization.objects.filter(pk=organization.pk).update(admissions_stopped_at=stopped_at)
    before = {"admissions_stopped_at": str(organization.admissions_stopped_at)}
    after = {"admissions_stopped_at": str(stopped_at), "reason": reason}
    trail.append(action, by=trail.SYSTEM, on=organization, before=before, after=after)


def _doubts(scope: Mapping[str, Any], *, is_whole: bool) -> list[Breach]:
    """Return the calls that wait for a person; all calls are read for that, so not every minute."""
    if not is_whole:
        return []
    return breaches("I6", "an uncertain call waits for a week", DOUBTS, scope, is_closing=False)


def _opened() -> datetime | str:
    """Return when the periods began at the earliest that every minute's check sums up."""
    with connection.cursor() as cursor:
        cursor.execute(OPENED, [required(), MANY])
        (opened,) = cursor.fetchone()
    return opened or "-infinity"


def _try_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s::uuid::text, 13))", [required()]
        )
        (is_mine,) = cursor.fetchone()
    return bool(is_mine)
