-- Turns orphaned holds into uncertain charges: calls held for over 15 s whose worker is not among
-- the live ones (or has no name), or past their deadline by 60 s. {"live": [uuid], "limit": int} -> number expired.
-- The provider may have billed them: nothing is released. Waits 15 s after a database start, so that
-- gateways can beat and replay their journals first. One sweep at a time (advisory lock).
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_expire(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  live uuid[] := ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(p -> 'live') x);
  found uuid[]; lo uuid; hi uuid; orphans jsonb; expired int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('budgets_expire', 7))
     OR clock_timestamp() - pg_postmaster_start_time() < interval '15 s' THEN
    RETURN 0;
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  -- found by the index on held calls first: ordered by id at once, all of the oldest calls would be read
  found := ARRAY(SELECT s.id FROM usage_record s
                  WHERE s.state = 'held' AND s.occurred_at < clock_timestamp() - interval '15 s'
                    AND (coalesce(s.worker_id <> ALL (live), true) OR s.deadline_at < clock_timestamp() - interval '60 s')
                  LIMIT coalesce((p ->> 'limit')::int, 500));
  lo := (SELECT f FROM unnest(found) f ORDER BY 1 LIMIT 1);
  hi := (SELECT f FROM unnest(found) f ORDER BY 1 DESC LIMIT 1);
  SELECT jsonb_agg(jsonb_build_object('id', o.id, 'state', 'uncertain')) INTO orphans FROM (
    SELECT s.id FROM usage_record s
     WHERE s.id = ANY (found) AND s.id >= lo AND s.id <= hi AND s.state = 'held'
     ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED) o;
  IF orphans IS NULL THEN
    expired := 0;
  ELSE
    SELECT count(*) INTO expired FROM budgets_resolve(orphans, 'expire') r WHERE r.outcome = 'done';
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN expired;
END $$;
