-- Reserves for many calls in one transaction: all budgets of a call or none (RELIABILITY 3, 4).
-- p: {"worker": uuid, "calls": [{id, organization_id, api_key_id, epoch, amount, periods: [bigint],
-- deadline_s, idem, body_fp, wait, ...columns of attribution_open}]}, amounts in USD as text.
-- Answers each call in the order given:
--   granted          {"remaining"}: smallest room left in its hard periods, absent without one
--   budget_exceeded  {"budget": {...}}: does not fit even without open holds
--   budget_reserved  {"budget": {...}}: would fit but for open holds; with `wait` leaves no row.
--                    `wait_ms` in it is the smallest of all budgets that block
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
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  ids uuid[]; orgs uuid[]; keys uuid[]; epochs bigint[]; amounts numeric[]; idems bytea[]; waits boolean[];
  centers uuid[]; departments uuid[]; born timestamptz[]; is_sound boolean; wanted uuid[];
  need_n int[]; need_q bigint[];                     -- call n would be held in period q; by n, then q
  fresh uuid[]; is_fresh boolean[]; verdict text[]; details jsonb[]; refusals jsonb[];
  q_id bigint[]; q_hard boolean[]; q_watched boolean[]; q_firm numeric[]; q_room numeric[]; -- the locked periods
  q_more numeric[];                                  -- what this question adds to their holds
  has_refused boolean := false; is_followed boolean := false; q_due bigint[]; why text; blocker int; least numeric; c record; first int; past int := 1; j int; k int; i int;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT array_agg(x.id), array_agg(x.organization_id), array_agg(x.api_key_id), array_agg(x.epoch),
         array_agg(x.amount), array_agg(x.idem), array_agg(coalesce(x.wait, false)), array_agg(x.cost_center_id),
         array_agg(x.department_id), array_agg(to_timestamp(uuid7_ms(x.id) / 1000.0)),
         coalesce(bool_and(coalesce(x.amount >= 0 AND x.amount < 'NaN', false)), true)
    INTO ids, orgs, keys, epochs, amounts, idems, waits, centers, departments, born, is_sound
    FROM jsonb_to_recordset(p -> 'calls') AS x(id uuid, organization_id uuid, api_key_id uuid, epoch bigint,
         amount numeric(24,12), idem bytea, wait boolean, cost_center_id uuid, department_id uuid);
  IF NOT is_sound THEN
    RAISE EXCEPTION 'a hold is an amount of at least 0' USING ERRCODE = '22023';
  END IF;
  SELECT array_agg(d.n), array_agg(d.q) INTO need_n, need_q FROM (
    SELECT DISTINCT x.n::int, q
      FROM ROWS FROM (jsonb_to_recordset(p -> 'calls') AS (periods bigint[])) WITH ORDINALITY AS x(periods, n),
           unnest(x.periods) q ORDER BY 1, 2) d(n, q);
  verdict := array_fill(NULL::text, ARRAY[coalesce(cardinality(ids), 0)]);
  details := array_fill(NULL::jsonb, ARRAY[coalesce(cardinality(ids), 0)]);
  refusals := details;
  -- 1 policy fence, shared: whoever changes who is limited by what takes it exclusively
  PERFORM pg_advisory_xact_lock_shared(hashtextextended(o.org::text, 7))
     FROM (SELECT DISTINCT u.org FROM unnest(orgs) u(org) ORDER BY 1) o;
  FOREACH i IN ARRAY budgets_stale(ids, born, orgs, epochs, centers, departments, need_n, need_q) LOOP
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
  IF cardinality(array_remove(verdict, NULL)) > 0 THEN
    wanted := ARRAY(SELECT u.id FROM unnest(ids, verdict) u(id, why) WHERE u.why IS NULL);
  END IF;
  fresh := attribution_open(p, wanted);
  is_fresh := array_fill(true, ARRAY[coalesce(cardinality(ids), 0)]);
  IF cardinality(fresh) < cardinality(ids) THEN
    is_fresh := ARRAY(SELECT u.id = ANY (fresh) AND array_position(ids, u.id) = u.n AND verdict[u.n] IS NULL
                        FROM unnest(ids) WITH ORDINALITY u(id, n) ORDER BY u.n);
    DELETE FROM idempotency i USING unnest(ids, orgs, keys, idems, verdict, is_fresh) u(id, org, key, idem, why, is_fresh)
     WHERE u.why IS NULL AND NOT u.is_fresh AND (i.organization_id, i.api_key_id, i.idem_hash, i.usage_id) = (u.org, u.key, u.idem, u.id)
       AND EXISTS (SELECT 1 FROM usage_record r WHERE r.id = u.id AND r.state IN ('denied', 'released'));
  END IF;
  -- 4 lock every period row of the calls that are new, in id order; a limit that has come to its
  -- `limit_until` (an override began or ended, money was carried over) is worked out anew under that lock
  LOOP
    SELECT array_agg(l.id), array_agg(l.hard), array_agg(l.enforcement = 'observe'),
           array_agg(l.limit_amount - l.spent - l.uncertain), array_agg(l.limit_amount - l.spent - l.uncertain - l.held),
           array_agg(0::numeric), array_agg(l.id) FILTER (WHERE l.limit_until <= clock_timestamp())
      INTO q_id, q_hard, q_watched, q_firm, q_room, q_more, q_due
      FROM (SELECT b.* FROM budget_period b
             WHERE b.id = ANY (ARRAY(SELECT u.q FROM unnest(need_n, need_q) u(n, q) WHERE is_fresh[u.n]))
             ORDER BY b.id FOR NO KEY UPDATE) l;
    EXIT WHEN q_due IS NULL OR is_followed;
    PERFORM budgets_follow(q_due);
    is_followed := true;
  END LOOP;
  -- 5 decide in arrival order, all budgets of a call or none
  FOR i IN 1 .. coalesce(cardinality(ids), 0) LOOP
    first := past;
    WHILE need_n[past] = i LOOP
      past := past + 1;
    END LOOP;
    CONTINUE WHEN NOT is_fresh[i];
    why := 'granted'; blocker := NULL; least := NULL;
    FOR j IN first .. past - 1 LOOP
      k := array_position(q_id, need_q[j]);
      IF q_room[k] >= amounts[i] THEN
        CONTINUE;
      ELSIF q_hard[k] AND q_firm[k] < amounts[i] AND why <> 'budget_exceeded' THEN
        why := 'budget_exceeded'; blocker := k;
      ELSIF q_hard[k] AND why = 'granted' THEN
        why := 'budget_reserved'; blocker := k;
      ELSIF q_watched[k] AND blocker IS NULL THEN
        blocker := k;                                -- observe: what would have been refused, granted all the same
      END IF;
    END LOOP;
    verdict[i] := why;
    IF blocker IS NOT NULL THEN
      has_refused := true;
      refusals[i] := (SELECT jsonb_build_object('id', b.budget_id, 'name', g.name, 'period_id', b.id,
               'limit', b.limit_amount::text, 'spent', b.spent::text, 'uncertain', b.uncertain::text,
               'held', (q_firm[blocker] - q_room[blocker])::text, 'needed', amounts[i]::text, 'ends_at', b.ends_at,
               'wait_ms', (SELECT min(w.wait_ms) FROM unnest(need_q[first : past - 1]) o(q) JOIN budget_period x ON x.id = o.q
                             JOIN budget w ON w.id = x.budget_id
                            WHERE x.id = b.id OR x.hard AND q_room[array_position(q_id, x.id)] < amounts[i]))
        FROM budget_period b JOIN budget g ON g.id = b.budget_id WHERE b.id = q_id[blocker]);
    END IF;
    IF why = 'granted' THEN
      FOR j IN first .. past - 1 LOOP
        k := array_position(q_id, need_q[j]);
        q_room[k] := q_room[k] - amounts[i];
        q_more[k] := q_more[k] + amounts[i];
        IF q_hard[k] THEN
          least := least(least, q_room[k]);
        END IF;
      END LOOP;
      details[i] := jsonb_build_object('remaining', least::text);
    ELSE
      details[i] := jsonb_build_object('budget', refusals[i]);
    END IF;
  END LOOP;
  -- 6 apply; a denied call keeps its row and frees its idempotency key
  INSERT INTO reservation (usage_id, budget_period_id, organization_id, amount)
    SELECT ids[u.n], u.q, orgs[u.n], amounts[u.n] FROM unnest(need_n, need_q) u(n, q)
     WHERE is_fresh[u.n] AND verdict[u.n] = 'granted';
  UPDATE budget_period b SET held = b.held + s.more FROM unnest(q_id, q_more) s(id, more) WHERE b.id = s.id AND s.more > 0;
  IF has_refused THEN
    DELETE FROM usage_record r USING unnest(ids, verdict, waits, is_fresh) u(id, why, wait, is_fresh)
     WHERE r.id = u.id AND u.is_fresh AND u.wait AND u.why = 'budget_reserved';
    UPDATE usage_record r SET state = CASE u.why WHEN 'granted' THEN 'held' ELSE 'denied' END,
           error_code = CASE u.why WHEN 'granted' THEN '' ELSE u.why END, refusal = u.refusal,
           settled_at = CASE u.why WHEN 'granted' THEN NULL ELSE clock_timestamp() END
      FROM unnest(ids, verdict, refusals, is_fresh) u(id, why, refusal, is_fresh)
     WHERE r.id = u.id AND u.is_fresh AND u.refusal IS NOT NULL;
    DELETE FROM idempotency i USING unnest(ids, orgs, keys, idems, verdict, is_fresh) u(id, org, key, idem, why, is_fresh)
     WHERE u.is_fresh AND u.why <> 'granted' AND (i.organization_id, i.api_key_id, i.idem_hash, i.usage_id) = (u.org, u.key, u.idem, u.id);
  END IF;
  -- 7 calls asked for before answer as then; one named twice in this question answers alike
  IF cardinality(fresh) < cardinality(ids) THEN
    FOR c IN SELECT u.n, array_position(ids, u.id) AS first, r.state, r.error_code, r.refusal
               FROM unnest(ids, orgs, verdict) WITH ORDINALITY u(id, org, why, n)
               LEFT JOIN usage_record r ON r.id = u.id AND r.organization_id = u.org WHERE u.why IS NULL LOOP
      IF is_fresh[c.first] THEN
        verdict[c.n] := verdict[c.first]; details[c.n] := details[c.first];
      ELSE
        verdict[c.n] := coalesce(CASE c.state WHEN 'held' THEN 'granted' WHEN 'denied' THEN c.error_code ELSE c.state END, 'stale');
        details[c.n] := jsonb_build_object('budget', c.refusal);
      END IF;
    END LOOP;
  END IF;
  RETURN QUERY SELECT u.id, u.why, u.detail FROM unnest(ids, verdict, details) u(id, why, detail);
  PERFORM set_config('app.ledger', '', true);
END $$;
