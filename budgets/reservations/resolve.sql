-- Moves calls out of `held` and `uncertain`: the one way in which spent, held and uncertain follow
-- a call. Shared by settle (p_kind settle) and expire (p_kind expire), never called from outside.
-- p: [{id, state: settled | released | uncertain, cost, lines, ...}], see attribution_post. Of several
-- with one id the first truth counts, else the first. Another state or a negative cost is an error.
-- Answers {"remaining"} with `done` for a call that moved, `noop` for one that had moved before:
-- settling twice changes nothing, a late truth after expiry lowers the charge. A call is charged at
-- most once by this guard on its state, not by any lease. Inside a tenant transaction, calls of any
-- other organization do not move. Lock order: usage records by id -> periods by id.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_resolve(p jsonb, p_kind text) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
  ids uuid[]; states text[]; costs numeric[]; is_sound boolean; lo uuid; hi uuid;
  moved uuid[]; was text[]; becomes text[]; charge numeric[];
  h_call uuid[]; h_period bigint[]; h_amount numeric[];       -- the reservations of the calls that move
  q_id bigint[]; q_room numeric[];                            -- their periods
BEGIN
  SELECT array_agg(x.id), array_agg(x.state), array_agg(coalesce(x.cost, 0)),
         bool_and(coalesce(x.state IN ('settled', 'released', 'uncertain') AND coalesce(x.cost, 0) >= 0
                           AND coalesce(x.cost, 0) < 'NaN', false))
    INTO ids, states, costs, is_sound
    FROM (SELECT DISTINCT ON (y.id) y.id, y.state, y.cost
            FROM ROWS FROM (jsonb_to_recordset(p) AS (id uuid, state text, cost numeric(24,12))) WITH ORDINALITY AS y
           ORDER BY y.id, y.state = 'uncertain', y.ordinality) x;
  IF NOT is_sound THEN
    RAISE EXCEPTION 'a call becomes settled, released or uncertain, at a cost of at least 0' USING ERRCODE = '22023';
  END IF;
  IF cardinality(ids) < jsonb_array_length(p) THEN
    p := (SELECT jsonb_agg(x.item) FROM (SELECT DISTINCT ON (y.id) y.id, y.item
            FROM (SELECT (t.item ->> 'id')::uuid AS id, t.item, t.n FROM jsonb_array_elements(p) WITH ORDINALITY t(item, n)) y
           ORDER BY y.id, y.item ->> 'state' = 'uncertain', y.n) x);
  END IF;
  lo := ids[1]; hi := ids[cardinality(ids)];
  SELECT array_agg(l.id ORDER BY l.id), array_agg(l.state ORDER BY l.id), array_agg(i.state ORDER BY l.id), array_agg(i.cost ORDER BY l.id)
    INTO moved, was, becomes, charge
    FROM (SELECT s.id, s.state FROM usage_record s
           WHERE s.id = ANY (ids) AND s.id >= lo AND s.id <= hi AND (served IS NULL OR s.organization_id = served)
           ORDER BY s.id FOR NO KEY UPDATE) l
    JOIN unnest(ids, states, costs) i(id, state, cost) ON i.id = l.id
   WHERE l.state = 'held' OR l.state = 'uncertain' AND i.state <> 'uncertain' AND p_kind <> 'expire';
  IF cardinality(moved) > 0 THEN
    SELECT array_agg(h.usage_id), array_agg(h.budget_period_id), array_agg(h.amount) INTO h_call, h_period, h_amount
      FROM reservation h WHERE h.usage_id = ANY (moved) AND h.usage_id >= lo AND h.usage_id <= hi;
    PERFORM 1 FROM budget_period b WHERE b.id = ANY (ARRAY(SELECT DISTINCT u.q FROM unnest(h_period) u(q)))
      ORDER BY b.id FOR NO KEY UPDATE;
    WITH done AS (
      UPDATE budget_period b SET held = b.held + m.held, uncertain = b.uncertain + m.uncertain, spent = b.spent + m.spent
        FROM (SELECT h.q, sum(CASE d.was WHEN 'held' THEN -h.amount ELSE 0 END) AS held,
                     sum(CASE d.was WHEN 'uncertain' THEN -h.amount ELSE 0 END
                         + CASE d.becomes WHEN 'uncertain' THEN h.amount ELSE 0 END) AS uncertain,
                     sum(CASE d.becomes WHEN 'settled' THEN d.charge ELSE 0 END) AS spent
                FROM unnest(h_call, h_period, h_amount) h(call, q, amount)
                JOIN unnest(moved, was, becomes, charge) d(id, was, becomes, charge) ON d.id = h.call GROUP BY 1) m
       WHERE b.id = m.q
      RETURNING b.id, CASE WHEN b.hard THEN b.limit_amount - b.spent - b.held - b.uncertain END AS room)
    SELECT array_agg(d.id), array_agg(d.room) INTO q_id, q_room FROM done d;
    PERFORM attribution_post(p, moved, was, p_kind);
    IF 'released' = ANY (becomes) THEN
      DELETE FROM idempotency i USING unnest(moved, becomes) u(id, becomes) WHERE i.usage_id = u.id AND u.becomes = 'released';
    END IF;
    IF cardinality(q_id) > 0 THEN
      PERFORM budgets_raise(q_id);
    END IF;
  END IF;
  RETURN QUERY
    SELECT u.id, CASE WHEN d.id IS NULL THEN 'noop' ELSE 'done' END, jsonb_build_object('remaining', r.least::text)
      FROM unnest(ids) u(id)
      LEFT JOIN unnest(moved) d(id) ON d.id = u.id
      LEFT JOIN (SELECT h.call, min(q.room) AS least FROM unnest(h_call, h_period) h(call, q)
                   JOIN unnest(q_id, q_room) q(id, room) ON q.id = h.q GROUP BY 1) r ON r.call = u.id
     ORDER BY u.id;
END $$;
