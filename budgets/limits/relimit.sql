-- Gives the periods of a budget that have not ended its enforcement and rollover of now, and these and those
-- before them that still follow late calls the limit that versions, rollover and overrides make now: {"organization_id", "budget_id"},
-- or "budget_ids" of many: whoever changes several locks them all at once, in one order. With neither: works out anew
-- the limits that have come to their `limit_until`, of every budget of the organization. Locks the
-- budget's limit (advisory, shared with budgets_period) and those rows in id order, nothing else;
-- acts on the next admission. Answers how many periods it looked at. See budgets_follow.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_relimit(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; 
  wanted uuid[] := CASE WHEN p ? 'budget_ids' THEN ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(p -> 'budget_ids') x ORDER BY 1)
                        WHEN p ? 'budget_id' THEN ARRAY[(p ->> 'budget_id')::uuid] END;
  looked bigint[];
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  IF wanted IS NULL THEN
    SELECT array_agg(l.id) INTO looked FROM (
      SELECT q.id FROM budget_period q WHERE q.organization_id = org AND q.limit_until <= clock_timestamp()
       ORDER BY q.id FOR NO KEY UPDATE) l;
  ELSE
    PERFORM pg_advisory_xact_lock(hashtextextended(w::text, 8)) FROM unnest(wanted) w;
    SELECT array_agg(l.id) INTO looked FROM (
      SELECT q.id FROM budget_period q WHERE q.organization_id = org AND q.budget_id = ANY (wanted)
         AND (q.ends_at > clock_timestamp() OR q.limit_until IS NOT NULL)
       ORDER BY q.id FOR NO KEY UPDATE) l;
    UPDATE budget_period q SET enforcement = b.enforcement,
           carry = CASE WHEN b.rollover <> 'none' THEN jsonb_build_object('rollover', b.rollover, 'cap', b.rollover_cap::text, 'unit', b.rollover_cap_unit) END
      FROM budget b
     WHERE q.id = ANY (looked) AND q.ends_at > clock_timestamp() AND b.organization_id = org AND b.id = q.budget_id;
  END IF;
  IF cardinality(looked) > 0 THEN
    PERFORM budgets_follow(looked);
    -- also where only thresholds are new, but nobody is told anew of what has ended
    PERFORM budgets_raise(ARRAY(SELECT q.id FROM budget_period q WHERE q.id = ANY (looked) AND q.ends_at > clock_timestamp()));
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN coalesce(cardinality(looked), 0);
END $$;
