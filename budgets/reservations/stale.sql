-- Whether organization, policy epoch, clock and periods of admissions still hold: returns the
-- positions (1-based) of the calls that are stale. `need_n`, `need_period` pair each call with the
-- periods it would be held in. An organization whose books are in breach (admissions_stopped_at) admits
-- nothing: its calls stay stale. Reads only; called by budgets_admit under the policy fence.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_stale(ids uuid[], orgs uuid[], epochs bigint[], need_n int[], need_period bigint[])
RETURNS int[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  stale int[];
  now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
  SELECT array_agg(DISTINCT bad.n) INTO stale FROM (
    SELECT c.n::int FROM unnest(ids, orgs, epochs) WITH ORDINALITY AS c(id, org, epoch, n)
      LEFT JOIN organization o ON o.id = c.org
     WHERE o.policy_epoch IS DISTINCT FROM c.epoch OR NOT o.is_active OR o.admissions_stopped_at IS NOT NULL
        OR abs(uuid7_ms(c.id) - now_ms) > 5000
    UNION ALL
    SELECT need.n FROM unnest(need_n, need_period) AS need(n, q) LEFT JOIN budget_period b ON b.id = need.q
     WHERE b.organization_id IS DISTINCT FROM orgs[need.n]
        OR to_timestamp(uuid7_ms(ids[need.n]) / 1000.0) < b.starts_at
        OR to_timestamp(uuid7_ms(ids[need.n]) / 1000.0) >= b.ends_at) bad;
  RETURN coalesce(stale, '{}');
END $$;
