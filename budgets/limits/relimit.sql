-- Gives the periods of a budget that have not ended the amount of its newest limit version:
-- {"organization_id", "budget_id"}. Locks the budget's limit (advisory, shared with budgets_period) and
-- those rows in id order, nothing else; acts on the next admission. A raised limit
-- raises `arm`, so that thresholds fire anew; a lowered one may cross thresholds at once.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_relimit(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; budget_of uuid := (p ->> 'budget_id')::uuid;
  amount numeric; mode text; changed bigint[];
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  PERFORM pg_advisory_xact_lock(hashtextextended(budget_of::text, 8));
  SELECT v.amount INTO amount FROM limit_version v WHERE v.organization_id = org AND v.budget_id = budget_of AND v.kind <> 'estimate'
   ORDER BY v.created_at DESC LIMIT 1;
  SELECT b.enforcement INTO mode FROM budget b WHERE b.organization_id = org AND b.id = budget_of;
  PERFORM 1 FROM budget_period q WHERE q.organization_id = org AND q.budget_id = budget_of AND q.ends_at > clock_timestamp()
   ORDER BY q.id FOR NO KEY UPDATE;
  WITH done AS (
    UPDATE budget_period q SET limit_amount = amount, base_amount = amount, enforcement = mode,
           arm = q.arm + CASE WHEN amount > q.limit_amount THEN 1 ELSE 0 END
     WHERE q.organization_id = org AND q.budget_id = budget_of AND q.ends_at > clock_timestamp()
    RETURNING q.id)
  SELECT coalesce(array_agg(d.id), '{}') INTO changed FROM done d;
  PERFORM budgets_raise(changed);
  PERFORM set_config('app.ledger', '', true);
  RETURN cardinality(changed);
END $$;
