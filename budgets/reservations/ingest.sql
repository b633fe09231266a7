-- Records calls that were made elsewhere, many in one transaction: settled at once, without a hold, in
-- the existing budget periods of their own time that cover them. What has happened may pass a limit.
-- p: {"organization_id", "events": [{source, event_id, id, cost, lines, ...}]}, see attribution_record;
-- `id` is a UUIDv7 of the time of the call. Answers each event in the order given:
--   recorded   it was new; call_id is its usage record
--   duplicate  (source, event_id) is known; call_id is the record of the first time, for ever
--   rejected   "too_old": before the organization's retention; "in_the_future": over 5 s ahead
-- Idempotent by (organization, source, event_id). Lock order: policy fence (shared) -> ingested events
-- in canonical order -> periods by id. The partitions of the months must exist.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_ingest(p jsonb)
RETURNS TABLE (source text, event_id text, outcome text, call_id uuid, error text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  org uuid := (p ->> 'organization_id')::uuid;
  oldest timestamptz; newest timestamptz := clock_timestamp() + interval '5 s';
  fresh uuid[]; lo uuid; hi uuid; touched bigint[];
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  -- 1 policy fence, shared: a budget opened meanwhile counts these calls or is seen here
  PERFORM pg_advisory_xact_lock_shared(hashtextextended(org::text, 7));
  SELECT clock_timestamp() - make_interval(days => o.retention_days) INTO oldest FROM organization o WHERE o.id = org;
  -- 2 claim the events; whoever reports the same one waits here for our commit
  WITH claimed AS (
    INSERT INTO ingested_event (organization_id, source, event_id, usage_id, created_at)
    SELECT DISTINCT ON (x.source, x.event_id) org, x.source, x.event_id, x.id, clock_timestamp()
      FROM ROWS FROM (jsonb_to_recordset(p -> 'events') AS (source text, event_id text, id uuid))
           WITH ORDINALITY AS x(source, event_id, id, n)
     WHERE to_timestamp(uuid7_ms(x.id) / 1000.0) BETWEEN oldest AND newest
     ORDER BY x.source, x.event_id, x.n
    ON CONFLICT DO NOTHING RETURNING usage_id)
  SELECT coalesce(array_agg(c.usage_id), '{}') INTO fresh FROM claimed c;
  IF cardinality(fresh) > 0 THEN
    lo := (SELECT f FROM unnest(fresh) f ORDER BY 1 LIMIT 1);
    hi := (SELECT f FROM unnest(fresh) f ORDER BY 1 DESC LIMIT 1);
    PERFORM attribution_record(p, fresh);
    -- 3 the periods of their time that cover them, kept for ever as reservations of nothing
    WITH RECURSIVE above AS (
      SELECT d.id AS department_id, d.id AS ancestor_id, d.parent_id FROM department d WHERE d.organization_id = org
      UNION
      SELECT a.department_id, d.id, d.parent_id FROM above a JOIN department d ON d.id = a.parent_id AND d.organization_id = org)
    INSERT INTO reservation (usage_id, budget_period_id, organization_id, amount)
    SELECT u.id, q.id, org, 0
      FROM budget_period q JOIN budget b ON b.organization_id = org AND b.id = q.budget_id
      JOIN usage_record u ON u.id = ANY (fresh) AND u.id >= lo AND u.id <= hi AND u.organization_id = org
       AND u.occurred_at >= q.starts_at AND u.occurred_at < q.ends_at
     WHERE q.organization_id = org
       AND CASE b.scope WHEN 'organization' THEN true
                        WHEN 'department' THEN EXISTS (SELECT 1 FROM above a WHERE a.department_id = u.department_id AND a.ancestor_id = b.scope_id)
                        WHEN 'cost_center' THEN u.cost_center_id = b.scope_id
                        WHEN 'api_key' THEN u.api_key_id = b.scope_id
                        ELSE u.user_id = b.scope_value END
       AND budgets_matches(q.filters, u.provider, ARRAY[u.provider_model], u.feature, u.environment);
    -- 4 lock those periods in id order, then count
    SELECT coalesce(array_agg(l.id), '{}') INTO touched FROM (
      SELECT b.id FROM budget_period b
       WHERE b.id = ANY (ARRAY(SELECT DISTINCT h.budget_period_id FROM reservation h
                                WHERE h.usage_id = ANY (fresh) AND h.usage_id >= lo AND h.usage_id <= hi))
       ORDER BY b.id FOR NO KEY UPDATE) l;
    UPDATE budget_period b SET spent = b.spent + s.cost
      FROM (SELECT h.budget_period_id AS id, sum(coalesce(u.cost, 0)) AS cost
              FROM reservation h JOIN usage_record u ON u.id = h.usage_id AND u.id >= lo AND u.id <= hi
             WHERE h.usage_id = ANY (fresh) AND h.usage_id >= lo AND h.usage_id <= hi GROUP BY 1) s
     WHERE b.id = s.id;
    PERFORM budgets_raise(touched);
  END IF;
  RETURN QUERY
    SELECT x.source, x.event_id,
           CASE WHEN e.usage_id IS NULL THEN 'rejected'
                WHEN e.usage_id = x.id AND x.id = ANY (fresh) AND x.first THEN 'recorded' ELSE 'duplicate' END,
           e.usage_id,
           CASE WHEN e.usage_id IS NOT NULL THEN NULL
                WHEN to_timestamp(uuid7_ms(x.id) / 1000.0) < oldest THEN 'too_old' ELSE 'in_the_future' END
      FROM (SELECT y.*, row_number() OVER (PARTITION BY y.source, y.event_id ORDER BY y.n) = 1 AS first
              FROM ROWS FROM (jsonb_to_recordset(p -> 'events') AS (source text, event_id text, id uuid))
                   WITH ORDINALITY AS y(source, event_id, id, n)) x
      LEFT JOIN ingested_event e ON e.organization_id = org AND e.source = x.source AND e.event_id = x.event_id
     ORDER BY x.n;
  PERFORM set_config('app.ledger', '', true);
END $$;
