-- Moves the bounds of periods that nobody can be held in yet, after the zone or calendar of a budget changed:
-- {"organization_id", "budget_id", "windows": [{"id", "starts_at", "ends_at", "year_starts_at"}]} -> how many. All or
-- none: 0 when one of them begins within 10 seconds (a call may be 5 seconds ahead), holds a call, or
-- is no period of the budget. Bounds come from budgets.limits.periods and join. Locks: the budget's limit
-- (advisory, shared with budgets_period), then those rows in id order.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_reshape(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; budget_of uuid := (p ->> 'budget_id')::uuid;
  soon timestamptz := clock_timestamp() + interval '10 s';
  found bigint[]; moved int := 0;
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  PERFORM pg_advisory_xact_lock(hashtextextended(budget_of::text, 8));
  SELECT array_agg(l.id) INTO found FROM (
    SELECT q.id FROM budget_period q
     WHERE q.organization_id = org AND q.budget_id = budget_of AND q.starts_at > soon
       AND q.id IN (SELECT w.id FROM jsonb_to_recordset(p -> 'windows') w(id bigint, starts_at timestamptz) WHERE w.starts_at > soon)
       AND NOT EXISTS (SELECT 1 FROM reservation h WHERE h.budget_period_id = q.id)
     ORDER BY q.id FOR NO KEY UPDATE) l;
  IF cardinality(found) = jsonb_array_length(p -> 'windows') THEN
    -- out of the way first: no two periods of a budget may overlap, not even row by row
    UPDATE budget_period q SET starts_at = q.starts_at + interval '1000 years', ends_at = q.ends_at + interval '1000 years'
     WHERE q.id = ANY (found);
    UPDATE budget_period q SET starts_at = w.starts_at, ends_at = w.ends_at, year_starts_at = w.year_starts_at
      FROM jsonb_to_recordset(p -> 'windows') w(id bigint, starts_at timestamptz, ends_at timestamptz, year_starts_at timestamptz)
     WHERE q.id = w.id AND q.id = ANY (found);
    PERFORM budgets_follow(found);
    moved := cardinality(found);
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN moved;
END $$;
