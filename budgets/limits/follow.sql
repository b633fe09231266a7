-- Gives periods, whose rows the caller has locked, the limit that budgets_reckon works out now.
-- `arm` rises only when people raised the limit (a version, an override that begins), so that thresholds
-- fire anew; money carried over follows late calls without it, else each would be told again. A
-- limit that falls is noted (lowered_at) and may cross thresholds at once. Idempotent. Answers the
-- periods whose limit changed.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_follow(periods bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  changed bigint[];
BEGIN
  WITH reckoned AS MATERIALIZED (
    SELECT u.id, r.*, q.limit_amount AS was, q.base_amount AS base_was, q.raised AS raised_was,
           q.limit_until IS NOT DISTINCT FROM '-infinity' AS is_new
      FROM unnest(periods) u(id) JOIN budget_period q ON q.id = u.id, LATERAL budgets_reckon(u.id, clock_timestamp()) r),
  done AS (
    UPDATE budget_period q SET base_amount = r.base, carried = r.carried, raised = r.raised, limit_amount = r.amount, limit_until = r.until,
           arm = q.arm + CASE WHEN NOT r.is_new AND r.base + r.raised > r.base_was + r.raised_was THEN 1 ELSE 0 END,
           lowered_at = CASE WHEN NOT r.is_new AND r.amount < r.was THEN clock_timestamp() ELSE q.lowered_at END
      FROM reckoned r
     WHERE q.id = r.id AND (q.base_amount, q.carried, q.raised, q.limit_amount, q.limit_until)
                           IS DISTINCT FROM (r.base, r.carried, r.raised, r.amount, r.until)
    RETURNING q.id, r.was <> r.amount AS is_other)
  SELECT coalesce(array_agg(d.id) FILTER (WHERE d.is_other), '{}') INTO changed FROM done d;
  IF cardinality(changed) > 0 THEN
    PERFORM budgets_raise(changed);
  END IF;
  RETURN changed;
END $$;
