-- Gives periods, whose rows the caller has locked, the limit that budgets_reckon works out now.
-- `arm` rises only when people raised the limit (a version, an override that begins), so that thresholds
-- fire anew; money carried over follows late calls without it, else each would be told again. A
-- limit that falls is noted (lowered_at) and may cross thresholds at once. The earlier period first: the
-- next one carries over from it. Idempotent. Answers the periods whose limit changed.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_follow(periods bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  q budget_period; r record; changed bigint[] := '{}'; is_new boolean;
BEGIN
  FOR q IN SELECT x.* FROM budget_period x WHERE x.id = ANY (periods) ORDER BY x.starts_at LOOP
    SELECT * INTO r FROM budgets_reckon(q.id, clock_timestamp());
    CONTINUE WHEN (q.base_amount, q.carried, q.raised, q.limit_amount, q.limit_until)
                  IS NOT DISTINCT FROM (r.base, r.carried, r.raised, r.amount, r.until);
    is_new := q.limit_until IS NOT DISTINCT FROM '-infinity';
    UPDATE budget_period x SET base_amount = r.base, carried = r.carried, raised = r.raised, limit_amount = r.amount, limit_until = r.until,
           arm = q.arm + CASE WHEN NOT is_new AND r.base + r.raised > q.base_amount + q.raised THEN 1 ELSE 0 END,
           lowered_at = CASE WHEN NOT is_new AND r.amount < q.limit_amount THEN clock_timestamp() ELSE q.lowered_at END
     WHERE x.id = q.id;
    IF r.amount <> q.limit_amount THEN
      changed := changed || q.id;
    END IF;
  END LOOP;
  IF cardinality(changed) > 0 THEN
    PERFORM budgets_raise(changed);
  END IF;
  RETURN changed;
END $$;
