-- Moves calls out of `held` and `uncertain`: the one way in which spent, held and uncertain follow
-- a call. Shared by settle (p_kind settle) and expire (p_kind expire), never called from outside.
-- p: [{id, state: settled | released | uncertain, cost, lines, ...}], see attribution_post.
-- Answers {"remaining"} with `done` for a call that moved, `noop` for one that had moved before:
-- settling twice changes nothing, a late truth after expiry lowers the charge. A call is charged at
-- most once by this guard on its state, not by any lease. Lock order: usage records by id -> periods by id.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_resolve(p jsonb, p_kind text) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  ids uuid[]; states text[]; costs numeric[]; lo uuid; hi uuid;
  moved uuid[]; was text[]; touched bigint[];
BEGIN
  SELECT array_agg(x.id), array_agg(x.state), array_agg(coalesce(x.cost, 0)) INTO ids, states, costs
    FROM (SELECT DISTINCT ON (y.id) y.id, y.state, y.cost
            FROM jsonb_to_recordset(p) AS y(id uuid, state text, cost numeric) ORDER BY y.id) x;
  lo := ids[1]; hi := ids[cardinality(ids)];
  SELECT array_agg(l.id), array_agg(l.state) INTO moved, was
    FROM (SELECT s.id, s.state FROM usage_record s
           WHERE s.id = ANY (ids) AND s.id >= lo AND s.id <= hi ORDER BY s.id FOR NO KEY UPDATE) l
   WHERE l.state = 'held' OR l.state = 'uncertain' AND p_kind <> 'expire';
  SELECT array_agg(l.id) INTO touched FROM (
    SELECT b.id FROM budget_period b
     WHERE b.id = ANY (ARRAY(SELECT DISTINCT h.budget_period_id FROM reservation h
                              WHERE h.usage_id = ANY (moved) AND h.usage_id >= lo AND h.usage_id <= hi))
     ORDER BY b.id FOR NO KEY UPDATE) l;
  UPDATE budget_period b SET held = b.held + m.held, uncertain = b.uncertain + m.uncertain, spent = b.spent + m.spent
    FROM (SELECT h.budget_period_id AS id,
                 sum(CASE d.was WHEN 'held' THEN -h.amount ELSE 0 END) AS held,
                 sum(CASE d.was WHEN 'uncertain' THEN -h.amount ELSE 0 END
                     + CASE i.state WHEN 'uncertain' THEN h.amount ELSE 0 END) AS uncertain,
                 sum(CASE i.state WHEN 'settled' THEN i.cost ELSE 0 END) AS spent
            FROM unnest(moved, was) d(id, was) JOIN unnest(ids, states, costs) i(id, state, cost) ON i.id = d.id
            JOIN reservation h ON h.usage_id = d.id AND h.usage_id >= lo AND h.usage_id <= hi GROUP BY 1) m
   WHERE b.id = m.id;
  IF cardinality(moved) > 0 THEN
    PERFORM attribution_post(p, moved, was, p_kind);
    DELETE FROM idempotency i USING unnest(ids, states) u(id, state)
     WHERE i.usage_id = u.id AND u.state = 'released' AND u.id = ANY (moved);
  END IF;
  IF cardinality(touched) > 0 THEN
    PERFORM budgets_raise(touched);
  END IF;
  RETURN QUERY
    SELECT u.id, CASE WHEN u.id = ANY (moved) THEN 'done' ELSE 'noop' END,
           jsonb_build_object('remaining', (
             SELECT min(b.limit_amount - b.spent - b.held - b.uncertain)::text FROM reservation h
               JOIN budget_period b ON b.id = h.budget_period_id
              WHERE h.usage_id = u.id AND h.usage_id >= lo AND h.usage_id <= hi AND b.hard))
      FROM unnest(ids) u(id);
END $$;
