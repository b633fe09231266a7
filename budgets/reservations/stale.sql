-- Whether organization, policy epoch, clock, cost center, department and periods of admissions still
-- hold and belong together: returns the positions (1-based) of the calls that are stale. `born`
-- is the instant in each id; `need_n`, `need_q` pair each call with the periods it would be held in. A call that has a record is never
-- stale: it is asked for again after an unknown commit, and gets the answer it got. An organization
-- whose books are in breach (admissions_stopped_at) admits nothing new: its calls stay stale. Inside a
-- tenant transaction, calls of any other organization are stale. Reads only; called by budgets_admit
-- under the policy fence.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_stale(ids uuid[], born timestamptz[], orgs uuid[], epochs bigint[], centers uuid[],
  departments uuid[], need_n int[], need_q bigint[]) RETURNS int[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  stale int[]; astray int[];
  now_at timestamptz := clock_timestamp();
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
BEGIN
  SELECT array_agg(c.n) INTO stale
    FROM unnest(orgs, epochs, born, centers, departments) WITH ORDINALITY c(org, epoch, born, center, department, n)
    LEFT JOIN organization o ON o.id = c.org
   WHERE (o.policy_epoch = c.epoch AND o.is_active AND o.admissions_stopped_at IS NULL AND coalesce(c.org = served, true)
          AND c.born BETWEEN now_at - interval '5 s' AND now_at + interval '5 s'
          AND (c.center IS NULL OR EXISTS (SELECT 1 FROM cost_center k WHERE k.id = c.center AND k.organization_id = c.org))
          AND (c.department IS NULL OR EXISTS (SELECT 1 FROM department k WHERE k.id = c.department AND k.organization_id = c.org))
         ) IS NOT TRUE;
  SELECT array_agg(need.n) INTO astray FROM unnest(need_n, need_q) AS need(n, q) LEFT JOIN budget_period b ON b.id = need.q
   WHERE (b.organization_id = orgs[need.n] AND born[need.n] >= b.starts_at AND born[need.n] < b.ends_at) IS NOT TRUE;
  IF cardinality(stale) > 0 OR cardinality(astray) > 0 THEN
    RETURN ARRAY(SELECT DISTINCT s.n FROM unnest(stale || astray) s(n) WHERE NOT EXISTS (
      SELECT 1 FROM usage_record u WHERE u.id = ids[s.n] AND u.organization_id = orgs[s.n]
         AND (served IS NULL OR u.organization_id = served)));
  END IF;
  RETURN '{}';
END $$;
