-- Reserves for many calls in one transaction: all budgets of a call or none (RELIABILITY 3, 4).
-- p: {"worker": uuid, "calls": [{id, organization_id, api_key_id, epoch, amount, periods: [bigint],
-- deadline_s, idem, body_fp, wait, ...columns of attribution_open}]}, amounts in USD as text.
-- Answers each call in the order given:
--   granted          {"remaining"}: smallest room left in its hard periods, absent without one
--   budget_exceeded  {"budget": {...}}: does not fit even without open holds
--   budget_reserved  {"budget": {...}}: would fit but for open holds; with `wait` leaves no row
--   duplicate        {"call_id", "state", "cost", "is_same_body"}: idempotency key is taken
--   stale            nothing was written: refresh, then ask again with the same id
--   any later state of a call that was asked for before
-- Idempotent by call id, also within one question, whatever has changed since the first. A negative
-- amount or none is an error of the whole question. Lock order: policy fence (shared) -> idempotency keys -> usage records ->
-- periods by id. A grant holds its amount in every period of the call, warn and observe included.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_admit(p jsonb) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  ids uuid[]; orgs uuid[]; keys uuid[]; epochs bigint[]; amounts numeric[]; idems bytea[]; waits boolean[];
  centers uuid[]; departments uuid[]; is_sound boolean;
  need_n int[]; need_period bigint[];                -- call n would be held in period need_period
  verdict text[]; details jsonb[]; fresh uuid[]; is_fresh boolean[];
  q_id bigint[]; q_hard boolean[]; q_watched boolean[]; q_firm numeric[]; q_room numeric[]; -- the locked periods
  fits boolean; observed boolean; why text; blocker int; k int; c record; i int;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT array_agg(x.id), array_agg(x.organization_id), array_agg(x.api_key_id), array_agg(x.epoch),
         array_agg(x.amount), array_agg(x.idem), array_agg(coalesce(x.wait, false)), array_agg(x.cost_center_id),
         array_agg(x.department_id), coalesce(bool_and(coalesce(x.amount >= 0 AND x.amount < 'NaN', false)), true)
    INTO ids, orgs, keys, epochs, amounts, idems, waits, centers, departments, is_sound
    FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid, organization_id uuid, api_key_id uuid, epoch bigint,
         amount numeric(24,12), idem bytea, wait boolean, cost_center_id uuid, department_id uuid);
  IF NOT is_sound THEN
    RAISE EXCEPTION 'a hold is an amount of at least 0' USING ERRCODE = '22023';
  END IF;
  SELECT array_agg(d.n), array_agg(d.q) INTO need_n, need_period FROM (
    SELECT DISTINCT x.n::int, q
      FROM ROWS FROM (jsonb_to_recordset(p -> 'calls') AS (periods bigint[])) WITH ORDINALITY AS x(periods, n),
           unnest(x.periods) q) d(n, q);
  verdict := array_fill(NULL::text, ARRAY[coalesce(cardinality(ids), 0)]);
  details := array_fill(NULL::jsonb, ARRAY[coalesce(cardinality(ids), 0)]);
  -- 1 policy fence, shared: whoever changes who is limited by what takes it exclusively
  PERFORM pg_advisory_xact_lock_shared(hashtextextended(o.org::text, 7))
     FROM (SELECT DISTINCT u.org FROM unnest(orgs) u(org) ORDER BY 1) o;
  FOREACH i IN ARRAY budgets_stale(ids, orgs, epochs, centers, departments, need_n, need_period) LOOP
    verdict[i] := 'stale';
  END LOOP;
  -- 2 idempotency keys in canonical order; a loser waits here for the winner's commit
  IF cardinality(array_remove(idems, NULL)) > 0 THEN
    INSERT INTO idempotency (organization_id, api_key_id, idem_hash, usage_id, body_fp, created_at)
      SELECT x.organization_id, x.api_key_id, x.idem, x.id, coalesce(x.body_fp, ''), now()
        FROM ROWS FROM (jsonb_to_recordset(p -> 'calls') AS (id uuid, organization_id uuid, api_key_id uuid, idem bytea,
             body_fp bytea)) WITH ORDINALITY AS x(id, organization_id, api_key_id, idem, body_fp, n)
       WHERE x.idem IS NOT NULL AND verdict[x.n] IS NULL
       ORDER BY x.organization_id, x.api_key_id, x.idem, x.n ON CONFLICT DO NOTHING;
    FOR c IN SELECT x.n, i.usage_id, i.body_fp = coalesce(x.body_fp, '') AS is_same_body, u.state, u.cost
               FROM ROWS FROM (jsonb_to_recordset(p -> 'calls') AS (id uuid, organization_id uuid, api_key_id uuid, idem bytea,
                    body_fp bytea)) WITH ORDINALITY AS x(id, organization_id, api_key_id, idem, body_fp, n)
               LEFT JOIN idempotency i ON (i.organization_id, i.api_key_id, i.idem_hash) = (x.organization_id, x.api_key_id, x.idem)
               LEFT JOIN usage_record u ON u.id = i.usage_id
              WHERE x.idem IS NOT NULL AND i.usage_id IS DISTINCT FROM x.id AND verdict[x.n] IS NULL LOOP
      IF c.usage_id IS NULL THEN                     -- freed between the two statements: ask again
        verdict[c.n] := 'stale';
        CONTINUE;
      END IF;
      verdict[c.n] := 'duplicate';
      details[c.n] := jsonb_build_object('call_id', c.usage_id, 'state', coalesce(c.state, 'held'), 'cost', c.cost::text,
                                         'is_same_body', c.is_same_body);
    END LOOP;
  END IF;
  -- 3 intent rows; a retry after an unknown commit meets its own row and changes nothing
  fresh := attribution_open(p, CASE WHEN cardinality(array_remove(verdict, NULL)) > 0
                                    THEN ARRAY(SELECT u.id FROM unnest(ids, verdict) u(id, why) WHERE u.why IS NULL) END);
  is_fresh := CASE WHEN cardinality(fresh) = cardinality(ids) THEN array_fill(true, ARRAY[cardinality(ids)])
                   ELSE ARRAY(SELECT u.id = ANY (fresh) AND array_position(ids, u.id) = u.n AND verdict[u.n] IS NULL
                                FROM unnest(ids) WITH ORDINALITY u(id, n) ORDER BY u.n) END;
  IF cardinality(fresh) < cardinality(ids) AND cardinality(array_remove(idems, NULL)) > 0 THEN
    DELETE FROM idempotency i USING unnest(ids, orgs, keys, idems, verdict, is_fresh) u(id, org, key, idem, why, is_fresh)
     WHERE u.why IS NULL AND NOT u.is_fresh AND (i.organization_id, i.api_key_id, i.idem_hash, i.usage_id) = (u.org, u.key, u.idem, u.id)
       AND EXISTS (SELECT 1 FROM usage_record r WHERE r.id = u.id AND r.state IN ('denied', 'released'));
  END IF;
  -- 4 lock every period row of the batch, in id order
  SELECT array_agg(l.id), array_agg(l.hard), array_agg(l.enforcement = 'observe'),
         array_agg(l.limit_amount - l.spent - l.uncertain), array_agg(l.limit_amount - l.spent - l.uncertain - l.held)
    INTO q_id, q_hard, q_watched, q_firm, q_room
    FROM (SELECT b.* FROM budget_period b
           WHERE b.id = ANY (ARRAY(SELECT DISTINCT u.q FROM unnest(need_n, need_period) u(n, q) WHERE is_fresh[u.n]))
           ORDER BY b.id FOR NO KEY UPDATE) l;
  -- 5 decide: usually everything fits; else in arrival order, all budgets of a call or none
  SELECT coalesce(bool_and(need.amount <= l.room) FILTER (WHERE l.hard), true),
         coalesce(bool_or(need.amount > l.room) FILTER (WHERE l.watched), false) INTO fits, observed
    FROM (SELECT u.q, sum(amounts[u.n]) AS amount FROM unnest(need_n, need_period) u(n, q) WHERE is_fresh[u.n] GROUP BY 1) need
    JOIN unnest(q_id, q_hard, q_watched, q_room) l(id, hard, watched, room) ON l.id = need.q;
  FOR i IN SELECT u.n FROM unnest(is_fresh) WITH ORDINALITY u(is_fresh, n) WHERE u.is_fresh ORDER BY u.n LOOP
    IF fits AND NOT observed THEN
      verdict[i] := 'granted';
      CONTINUE;
    END IF;
    why := 'granted'; blocker := NULL;
    FOR k IN SELECT array_position(q_id, u.q) FROM unnest(need_n, need_period) u(n, q) WHERE u.n = i ORDER BY 1 LOOP
      IF q_hard[k] AND q_firm[k] < amounts[i] AND why <> 'budget_exceeded' THEN
        why := 'budget_exceeded'; blocker := k;
      ELSIF q_hard[k] AND q_room[k] < amounts[i] AND why = 'granted' THEN
        why := 'budget_reserved'; blocker := k;
      ELSIF q_watched[k] AND q_room[k] < amounts[i] AND blocker IS NULL THEN
        blocker := k;                                -- observe: what would have been refused, granted all the same
      END IF;
    END LOOP;
    verdict[i] := why;
    IF blocker IS NOT NULL THEN
      details[i] := (SELECT jsonb_build_object('budget', jsonb_build_object('id', b.budget_id, 'name', g.name, 'period_id', b.id,
               'limit', b.limit_amount::text, 'spent', b.spent::text, 'uncertain', b.uncertain::text,
               'held', (q_firm[blocker] - q_room[blocker])::text, 'needed', amounts[i]::text, 'ends_at', b.ends_at,
               'wait_ms', g.wait_ms))
        FROM budget_period b JOIN budget g ON g.id = b.budget_id WHERE b.id = q_id[blocker]);
    END IF;
    IF why = 'granted' THEN
      FOR k IN SELECT array_position(q_id, u.q) FROM unnest(need_n, need_period) u(n, q) WHERE u.n = i LOOP
        q_room[k] := q_room[k] - amounts[i];
      END LOOP;
    END IF;
  END LOOP;
  -- 6 apply; a denied call keeps its row and frees its idempotency key
  INSERT INTO reservation (usage_id, budget_period_id, organization_id, amount)
    SELECT ids[u.n], u.q, orgs[u.n], amounts[u.n] FROM unnest(need_n, need_period) u(n, q)
     WHERE is_fresh[u.n] AND verdict[u.n] = 'granted';
  UPDATE budget_period b SET held = b.held + s.amount
    FROM (SELECT u.q, sum(amounts[u.n]) AS amount FROM unnest(need_n, need_period) u(n, q)
           WHERE is_fresh[u.n] AND verdict[u.n] = 'granted' GROUP BY 1) s WHERE b.id = s.q;
  IF NOT fits OR observed THEN
    DELETE FROM usage_record r USING unnest(ids, verdict, waits, is_fresh) u(id, why, wait, is_fresh)
     WHERE r.id = u.id AND u.is_fresh AND u.wait AND u.why = 'budget_reserved';
    UPDATE usage_record r SET state = CASE u.why WHEN 'granted' THEN 'held' ELSE 'denied' END,
           error_code = CASE u.why WHEN 'granted' THEN '' ELSE u.why END, refusal = u.detail -> 'budget',
           settled_at = CASE u.why WHEN 'granted' THEN NULL ELSE clock_timestamp() END
      FROM unnest(ids, verdict, details, is_fresh) u(id, why, detail, is_fresh)
     WHERE r.id = u.id AND u.is_fresh AND u.detail IS NOT NULL;
    DELETE FROM idempotency i USING unnest(ids, orgs, keys, idems, verdict, is_fresh) u(id, org, key, idem, why, is_fresh)
     WHERE u.is_fresh AND u.why <> 'granted' AND (i.organization_id, i.api_key_id, i.idem_hash, i.usage_id) = (u.org, u.key, u.idem, u.id);
  END IF;
  FOR i IN SELECT u.n FROM unnest(is_fresh) WITH ORDINALITY u(is_fresh, n) WHERE NOT u.is_fresh LOOP
    k := array_position(ids, ids[i]);                -- named before in this question: the same answer
    IF is_fresh[k] THEN
      verdict[i] := verdict[k]; details[i] := details[k];
    END IF;
  END LOOP;
  RETURN QUERY
    SELECT u.id, coalesce(u.why, CASE r.state WHEN 'held' THEN 'granted' WHEN 'denied' THEN r.error_code ELSE r.state END, 'stale'),
           CASE WHEN u.why = 'granted' THEN jsonb_build_object('remaining', room.least::text)
                ELSE coalesce(u.detail, jsonb_build_object('budget', r.refusal)) END
      FROM unnest(ids, verdict, details) WITH ORDINALITY u(id, why, detail, n)
      LEFT JOIN usage_record r ON u.why IS NULL AND r.id = u.id AND r.organization_id = orgs[u.n]
      LEFT JOIN (SELECT t.n, min(q_room[array_position(q_id, t.q)] - CASE WHEN fits AND NOT observed THEN total.amount ELSE 0 END) AS least
                   FROM unnest(need_n, need_period) t(n, q)
                   JOIN (SELECT v.q, sum(amounts[v.n]) AS amount FROM unnest(need_n, need_period) v(n, q) WHERE is_fresh[v.n] GROUP BY 1) total ON total.q = t.q
                  WHERE q_hard[array_position(q_id, t.q)] GROUP BY 1) room ON room.n = u.n
     ORDER BY u.n;
  PERFORM set_config('app.ledger', '', true);
END $$;
