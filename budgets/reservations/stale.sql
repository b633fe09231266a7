-- Whether organization, policy epoch, clock, cost center, department and periods of admissions still
-- hold and belong together: returns the positions (1-based) of the calls that are stale. `need_n`,
-- `need_period` pair each call with the periods it would be held in. A call that has a record is never
-- stale: it is asked for again after an unknown commit, and gets the answer it got. An organization
-- whose books are in breach (admissions_stopped_at) admits nothing new: its calls stay stale. Inside a
-- tenant transaction, calls of any other organization are stale. Reads only; called by budgets_admit
-- under the policy fence.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_stale(ids uuid[], orgs uuid[], epochs bigint[], centers uuid[], departments uuid[],
  need_n int[], need_period bigint[]) RETURNS int[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  stale int[];
  now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
BEGIN
  -- usually all hold: one look at each organization, cost center, department and period of the batch
  IF NOT EXISTS (
      SELECT 1 FROM (SELECT u.org, min(u.epoch) AS least, max(u.epoch) AS most, count(u.epoch) < count(*) AS is_open,
                            min(uuid7_ms(u.id)) AS first, max(uuid7_ms(u.id)) AS last
                       FROM unnest(ids, orgs, epochs) u(id, org, epoch) GROUP BY 1) c
        LEFT JOIN organization o ON o.id = c.org
       WHERE (o.policy_epoch = c.least AND o.policy_epoch = c.most AND NOT c.is_open AND o.is_active
              AND o.admissions_stopped_at IS NULL AND coalesce(c.org = served, true)
              AND c.first >= now_ms - 5000 AND c.last <= now_ms + 5000) IS NOT TRUE)
    AND NOT EXISTS (
      SELECT 1 FROM (SELECT DISTINCT u.org, u.center, u.department FROM unnest(orgs, centers, departments) u(org, center, department)) c
       WHERE c.center IS NOT NULL AND NOT EXISTS (SELECT 1 FROM cost_center k WHERE k.id = c.center AND k.organization_id = c.org)
          OR c.department IS NOT NULL AND NOT EXISTS (SELECT 1 FROM department k WHERE k.id = c.department AND k.organization_id = c.org))
    AND NOT EXISTS (
      SELECT 1 FROM (SELECT u.q, orgs[u.n] AS org, min(uuid7_ms(ids[u.n])) AS first, max(uuid7_ms(ids[u.n])) AS last
                       FROM unnest(need_n, need_period) u(n, q) GROUP BY 1, 2) c
        LEFT JOIN budget_period b ON b.id = c.q
       WHERE (b.organization_id = c.org AND to_timestamp(c.first / 1000.0) >= b.starts_at
              AND to_timestamp(c.last / 1000.0) < b.ends_at) IS NOT TRUE) THEN
    RETURN '{}';
  END IF;
  SELECT array_agg(DISTINCT bad.n) INTO stale FROM (
    SELECT c.n::int FROM unnest(ids, orgs, epochs) WITH ORDINALITY AS c(id, org, epoch, n)
      LEFT JOIN organization o ON o.id = c.org
     WHERE o.policy_epoch IS DISTINCT FROM c.epoch OR o.is_active IS NOT TRUE OR o.admissions_stopped_at IS NOT NULL
        OR c.org <> served OR abs(uuid7_ms(c.id) - now_ms) > 5000
    UNION ALL
    SELECT c.n::int FROM (SELECT DISTINCT u.org, u.center FROM unnest(orgs, centers) u(org, center)
                           WHERE u.center IS NOT NULL) d
      LEFT JOIN cost_center k ON k.id = d.center AND k.organization_id = d.org
      JOIN unnest(orgs, centers) WITH ORDINALITY c(org, center, n) ON k.id IS NULL AND (c.org, c.center) = (d.org, d.center)
    UNION ALL
    SELECT c.n::int FROM (SELECT DISTINCT u.org, u.department FROM unnest(orgs, departments) u(org, department)
                           WHERE u.department IS NOT NULL) d
      LEFT JOIN department k ON k.id = d.department AND k.organization_id = d.org
      JOIN unnest(orgs, departments) WITH ORDINALITY c(org, department, n)
        ON k.id IS NULL AND (c.org, c.department) = (d.org, d.department)
    UNION ALL
    SELECT need.n FROM unnest(need_n, need_period) AS need(n, q) LEFT JOIN budget_period b ON b.id = need.q
     WHERE b.organization_id IS DISTINCT FROM orgs[need.n]
        OR to_timestamp(uuid7_ms(ids[need.n]) / 1000.0) < b.starts_at
        OR to_timestamp(uuid7_ms(ids[need.n]) / 1000.0) >= b.ends_at) bad;
  IF stale IS NOT NULL THEN
    stale := ARRAY(SELECT s.n FROM unnest(stale) s(n) WHERE NOT EXISTS (
      SELECT 1 FROM usage_record u WHERE u.id = ids[s.n] AND u.organization_id = orgs[s.n]
         AND (served IS NULL OR u.organization_id = served)));
  END IF;
  RETURN coalesce(stale, '{}');
END $$;
