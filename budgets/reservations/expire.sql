-- Turns orphaned holds into uncertain charges: calls held for over 15 s whose worker is not among
-- the live ones, or past their deadline by 60 s. {"live": [uuid], "limit": int} -> number expired.
-- The provider may have billed them: nothing is released. Waits 15 s after a database start, so that
-- gateways can beat and replay their journals first. One sweep at a time (advisory lock).
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_expire(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  live uuid[] := ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(p -> 'live') x);
  orphans jsonb; expired int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('budgets_expire', 7))
     OR clock_timestamp() - pg_postmaster_start_time() < interval '15 s' THEN
    RETURN 0;
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  SELECT jsonb_agg(jsonb_build_object('id', o.id, 'state', 'uncertain')) INTO orphans FROM (
    SELECT s.id FROM usage_record s
     WHERE s.state = 'held' AND s.occurred_at < clock_timestamp() - interval '15 s'
       AND (s.worker_id <> ALL (live) OR s.deadline_at < clock_timestamp() - interval '60 s')
     ORDER BY s.id LIMIT coalesce((p ->> 'limit')::int, 500) FOR NO KEY UPDATE SKIP LOCKED) o;
  IF orphans IS NULL THEN
    expired := 0;
  ELSE
    SELECT count(*) INTO expired FROM budgets_resolve(orphans, 'expire') r WHERE r.outcome = 'done';
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN expired;
END $$;
