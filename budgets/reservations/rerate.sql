-- Books another cost for calls that are settled: reversal and new entries of kind `rerate`, many calls
-- in one transaction. p: {"organization_id", "reason", "actor_id", "calls": [{id, was_cost, cost,
-- price_version, lines}]}, amounts in USD as text, `was_cost` NULL = unpriced. Answers each call:
--   done  spent of all periods of the call moved by cost - was_cost, its record and entries follow
--   noop  it costs that at that price version already, or not what `was_cost` says any more, or it is
--         no call of the organization being served
--   shut  its month (UTC) is reconciled or closed: nothing of it moves
-- So applying twice changes nothing. Entries keep the time of the call; an unpriced entry is reversed
-- by an unpriced one with its count, so unpriced calls are summed like money. Lines that do not add up
-- to the cost are an error. Held and uncertain stay. Whoever shuts a month takes the lock of its key
-- (organization YYYY-MM, seed 13) exclusively before accounting_period changes: a call is re-rated
-- before that or not at all. Lock order: months -> usage records by id -> periods by id.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_rerate(p jsonb) RETURNS TABLE (call_id uuid, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  org uuid := (p ->> 'organization_id')::uuid;
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
  months date[]; free uuid[];
  ids uuid[]; lo uuid; hi uuid; posted uuid; moved uuid[]; touched bigint[]; unequal uuid;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT array_agg(x.id ORDER BY x.id) INTO ids FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid);
  lo := ids[1]; hi := ids[cardinality(ids)];
  posted := uuid7_floor(to_timestamp(uuid7_ms(lo) / 1000.0) - interval '1 hour');  -- no entry of theirs is older
  -- 1 keep their months from being shut meanwhile, and leave out the calls of those that are
  SELECT array_agg(date_trunc('month', to_timestamp(uuid7_ms(x.id) / 1000.0) AT TIME ZONE 'UTC')::date ORDER BY x.id)
    INTO months FROM unnest(ids) x(id);
  PERFORM pg_advisory_xact_lock_shared(hashtextextended(m.key, 13))
    FROM (SELECT DISTINCT org::text || to_char(u.month, ' YYYY-MM') FROM unnest(months) u(month) ORDER BY 1) m(key);
  SELECT coalesce(array_agg(x.id), '{}') INTO free FROM unnest(ids, months) x(id, month)
   WHERE NOT EXISTS (SELECT 1 FROM accounting_period a
                      WHERE a.organization_id = served AND a.month = x.month AND a.state IN ('reconciled', 'closed'));
  -- 2 lock the calls and keep those that are as they were seen and would change
  SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') INTO moved
    FROM (SELECT u.id, u.state, u.cost, u.price_version FROM usage_record u
           WHERE u.organization_id = org AND org = served AND u.id = ANY (free) AND u.id >= lo AND u.id <= hi
           ORDER BY u.id FOR NO KEY UPDATE) l
    JOIN jsonb_to_recordset(p -> 'calls') AS x(id uuid, was_cost numeric, cost numeric, price_version bigint) ON x.id = l.id
   WHERE l.state = 'settled' AND x.cost IS NOT NULL AND l.cost IS NOT DISTINCT FROM x.was_cost
     AND (l.cost, l.price_version) IS DISTINCT FROM (x.cost, x.price_version);
  IF cardinality(moved) > 0 THEN
    -- 3 lock their periods in id order, then move what is spent
    SELECT coalesce(array_agg(l.id), '{}') INTO touched FROM (
      SELECT b.id FROM budget_period b
       WHERE b.id = ANY (ARRAY(SELECT DISTINCT h.budget_period_id FROM reservation h
                                WHERE h.usage_id = ANY (moved) AND h.usage_id >= lo AND h.usage_id <= hi))
       ORDER BY b.id FOR NO KEY UPDATE) l;
    UPDATE budget_period b SET spent = b.spent + m.more
      FROM (SELECT h.budget_period_id AS id, sum(x.cost - coalesce(x.was_cost, 0)) AS more
              FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid, was_cost numeric, cost numeric)
              JOIN reservation h ON h.usage_id = x.id AND h.usage_id >= lo AND h.usage_id <= hi
             WHERE x.id = ANY (moved) GROUP BY 1) m
     WHERE b.id = m.id;
    -- 4 reverse every entry of their cost that still stands, book the new cost; the count of a call moves along
    WITH reversed AS (
      INSERT INTO ledger_entry (id, organization_id, usage_id, kind, account, token_class, quantity, unit_price, usd_amount,
        call_count, price_version, cost_center_id, occurred_at, posted_at, booked_month, reverses_id, reason, actor_id)
      SELECT uuid7_at(clock_timestamp()), e.organization_id, e.usage_id, 'rerate', e.account, e.token_class, -e.quantity,
             e.unit_price, -e.usd_amount, -e.call_count, e.price_version, e.cost_center_id, e.occurred_at, clock_timestamp(),
             e.booked_month, e.id, p ->> 'reason', (p ->> 'actor_id')::uuid
        FROM ledger_entry e
       WHERE e.usage_id = ANY (moved) AND e.id >= posted AND e.account = 'spent' AND e.reverses_id IS NULL
         AND NOT EXISTS (SELECT 1 FROM ledger_entry r WHERE r.usage_id = e.usage_id AND r.id >= posted AND r.reverses_id = e.id)
      RETURNING usage_id, call_count),
    counted AS (SELECT r.usage_id, -sum(r.call_count) AS calls FROM reversed r GROUP BY 1),
    line AS (
      SELECT x.id, x.cost, x.price_version, l.* FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid, cost numeric(24,12), price_version bigint, lines jsonb)
       CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(x.lines) AS (token_class text, quantity numeric, unit_price numeric,
             usd_amount numeric(24,12))) WITH ORDINALITY AS l(token_class, quantity, unit_price, usd_amount, n)
       WHERE x.id = ANY (moved)),
    booked AS (
      INSERT INTO ledger_entry (id, organization_id, usage_id, kind, account, token_class, quantity, unit_price, usd_amount,
        call_count, price_version, cost_center_id, occurred_at, posted_at, booked_month, reason, actor_id)
      SELECT uuid7_at(clock_timestamp()), u.organization_id, u.id, 'rerate', 'spent', l.token_class, l.quantity, l.unit_price,
             l.usd_amount, CASE l.n WHEN 1 THEN c.calls ELSE 0 END, l.price_version, u.cost_center_id, u.occurred_at,
             clock_timestamp(), date_trunc('month', u.occurred_at AT TIME ZONE 'UTC')::date, p ->> 'reason', (p ->> 'actor_id')::uuid
        FROM line l JOIN usage_record u ON u.id = l.id AND u.id >= lo AND u.id <= hi JOIN counted c ON c.usage_id = u.id
      RETURNING usage_id, usd_amount)
    SELECT l.id INTO unequal FROM (SELECT DISTINCT y.id, y.cost FROM line y) l
      LEFT JOIN (SELECT k.usage_id, sum(k.usd_amount) AS amount FROM booked k GROUP BY 1) b ON b.usage_id = l.id
     WHERE b.amount IS DISTINCT FROM l.cost LIMIT 1;
    IF unequal IS NOT NULL THEN
      RAISE EXCEPTION 'the lines of call % do not add up to its cost', unequal USING ERRCODE = '22023';
    END IF;
    UPDATE usage_record u SET cost = x.cost, price_version = x.price_version
      FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid, cost numeric, price_version bigint)
     WHERE u.id = x.id AND x.id = ANY (moved) AND u.id >= lo AND u.id <= hi;
    PERFORM budgets_raise(touched);
  END IF;
  RETURN QUERY SELECT x.id, CASE WHEN x.id = ANY (moved) THEN 'done' WHEN x.id = ANY (free) THEN 'noop' ELSE 'shut' END
    FROM unnest(ids) x(id);
  PERFORM set_config('app.ledger', '', true);
END $$;
