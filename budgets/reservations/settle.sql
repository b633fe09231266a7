-- Settles, releases or gives up calls, many in one transaction. p: [{id, state: settled | released |
-- uncertain, cost, cost_source, lines, ...}], see budgets_resolve and attribution_post.
-- Idempotent: a call moves at most once out of held, and at most once out of uncertain.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_settle(p jsonb) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  RETURN QUERY SELECT * FROM budgets_resolve(p, 'settle');
  PERFORM set_config('app.ledger', '', true);
END $$;
