-- Opens a period of a budget: {"organization_id", "budget_id", "starts_at", "ends_at", "year_starts_at", "backfill"} -> id.
-- Bounds come from budgets.limits.periods, the one place that knows calendars. The limit is what
-- budgets_reckon makes of versions, rollover and overrides; nothing is carried over from before
-- year_starts_at, nor without it. With `backfill` (a budget created, or widened, inside the window; the caller
-- holds the policy fence exclusively) calls of the window that match the scope are counted in:
-- their holds, uncertain amounts and costs, with one reservation each. Idempotent: answers the
-- period that begins then, else the first that overlaps. NULL: the budget is archived or unlimited. Locks: the budget's limit (advisory,
-- shared with budgets_relimit, so that a limit set meanwhile reaches the new period).
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_period(p jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid;
  lo timestamptz := (p ->> 'starts_at')::timestamptz; hi timestamptz := (p ->> 'ends_at')::timestamptz;
  b budget; made bigint;
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  PERFORM pg_advisory_xact_lock(hashtextextended((p ->> 'budget_id')::uuid::text, 8));
  SELECT * INTO b FROM budget WHERE id = (p ->> 'budget_id')::uuid AND organization_id = org;
  IF b.id IS NULL OR b.archived_at IS NOT NULL THEN
    PERFORM set_config('app.ledger', '', true);
    RETURN NULL;
  END IF;
  INSERT INTO budget_period (organization_id, budget_id, enforcement, starts_at, ends_at, year_starts_at, carry, limit_until,
    limit_amount, base_amount, carried, raised, arm, spent, held, uncertain, filters)
  SELECT org, b.id, b.enforcement, lo, hi, (p ->> 'year_starts_at')::timestamptz,
         CASE WHEN b.rollover <> 'none' THEN jsonb_build_object('rollover', b.rollover, 'cap', b.rollover_cap::text, 'unit', b.rollover_cap_unit) END,
         '-infinity', v.amount, v.amount, 0, 0, 1, 0, 0, 0, nullif(b.filters, '{}')
    FROM limit_version v WHERE v.organization_id = org AND v.budget_id = b.id AND v.kind <> 'estimate' ORDER BY v.created_at DESC LIMIT 1
  ON CONFLICT DO NOTHING RETURNING id INTO made;
  IF made IS NOT NULL THEN
    PERFORM budgets_follow(ARRAY[made]);
  END IF;
  IF made IS NOT NULL AND coalesce((p ->> 'backfill')::boolean, false) THEN
    PERFORM budgets_backfill(made);
  END IF;
  IF made IS NULL THEN
    SELECT id INTO made FROM budget_period WHERE organization_id = org AND budget_id = b.id AND ends_at > lo AND starts_at < hi
     ORDER BY starts_at <> lo, starts_at LIMIT 1;
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN made;
END $$;
