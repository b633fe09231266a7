-- Lets holds of open calls grow, many calls in one transaction: elastic budgets hold the first part of an
-- answer and go on with it (RELIABILITY 8). p: [{id, amount, wait}]: `amount` is the hold that the call shall
-- have in every one of its periods, in USD as text. Answers each call:
--   granted          {"remaining"}: smallest room left in its hard periods
--   budget_exceeded, budget_reserved  {"budget": {...}} as budgets_admit; the hold stays as it is, and
--                    without `wait` the record keeps the refusal
--   stale            it is open no longer, or a call of another organization than the one served
-- Idempotent: a hold that is as large already is granted again. Another lock order than budgets_admit
-- would deadlock, so it is a question of its own: usage records by id -> periods by id, as budgets_resolve.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION budgets_extend(p jsonb) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
  ids uuid[]; amounts numeric[]; waits boolean[]; lo uuid; hi uuid; is_sound boolean;
  l_id uuid[]; l_hold numeric[]; l_more numeric[];            -- the open calls, and what they ask for beside
  h_call uuid[]; h_period bigint[];
  q_id bigint[]; q_hard boolean[]; q_watched boolean[]; q_firm numeric[]; q_room numeric[]; q_more numeric[]; q_due bigint[]; is_followed boolean := false;
  verdict text[] := '{}'; details jsonb[] := '{}'; refusals jsonb[] := '{}';
  why text; blocker int; least numeric; refusal jsonb; i int; j int; k int;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT array_agg(x.id), array_agg(x.amount), array_agg(x.wait), bool_and(coalesce(x.amount >= 0 AND x.amount < 'NaN', false))
    INTO ids, amounts, waits, is_sound
    FROM (SELECT DISTINCT ON (y.id) y.id, y.amount, coalesce(y.wait, false) AS wait
            FROM jsonb_to_recordset(p) AS y(id uuid, amount numeric(24,12), wait boolean) ORDER BY y.id, y.amount DESC) x;
  IF NOT is_sound THEN
    RAISE EXCEPTION 'a hold is an amount of at least 0' USING ERRCODE = '22023';
  END IF;
  lo := ids[1]; hi := ids[cardinality(ids)];
  SELECT array_agg(l.id), array_agg(l.hold_amount), array_agg(greatest(amounts[array_position(ids, l.id)] - l.hold_amount, 0))
    INTO l_id, l_hold, l_more
    FROM (SELECT s.id, s.hold_amount FROM usage_record s
           WHERE s.id = ANY (ids) AND s.id >= lo AND s.id <= hi AND s.state = 'held' AND (served IS NULL OR s.organization_id = served)
           ORDER BY s.id FOR NO KEY UPDATE) l;
  SELECT array_agg(h.usage_id), array_agg(h.budget_period_id) INTO h_call, h_period
    FROM reservation h WHERE h.usage_id = ANY (l_id) AND h.usage_id >= lo AND h.usage_id <= hi;
  LOOP
    SELECT array_agg(b.id), array_agg(b.hard), array_agg(b.enforcement = 'observe'), array_agg(b.limit_amount - b.spent - b.uncertain),
           array_agg(b.limit_amount - b.spent - b.uncertain - b.held), array_agg(0::numeric),
           array_agg(b.id) FILTER (WHERE b.limit_until <= clock_timestamp())
      INTO q_id, q_hard, q_watched, q_firm, q_room, q_more, q_due
      FROM (SELECT * FROM budget_period r WHERE r.id = ANY (h_period) ORDER BY r.id FOR NO KEY UPDATE) b;
    EXIT WHEN q_due IS NULL OR is_followed;
    PERFORM budgets_follow(q_due);
    is_followed := true;
  END LOOP;
  FOR i IN 1 .. coalesce(cardinality(l_id), 0) LOOP
    why := 'granted'; blocker := NULL; least := NULL; refusal := NULL;
    FOR j IN 1 .. coalesce(cardinality(h_call), 0) LOOP
      k := array_position(q_id, h_period[j]);
      CONTINUE WHEN h_call[j] <> l_id[i] OR l_more[i] = 0 OR q_room[k] >= l_more[i];
      IF q_hard[k] AND why <> 'budget_exceeded' THEN
        blocker := k;
        why := CASE WHEN q_firm[k] - l_hold[i] < l_more[i] THEN 'budget_exceeded' ELSE 'budget_reserved' END;
      ELSIF q_watched[k] AND blocker IS NULL THEN
        blocker := k;                                         -- observe: what would have been refused
      END IF;
    END LOOP;
    IF blocker IS NOT NULL THEN
      SELECT jsonb_build_object('id', b.budget_id, 'name', g.name, 'period_id', b.id, 'limit', b.limit_amount::text,
               'spent', b.spent::text, 'uncertain', b.uncertain::text, 'held', (q_firm[blocker] - q_room[blocker])::text,
               'needed', l_more[i]::text, 'ends_at', b.ends_at, 'wait_ms', g.wait_ms)
        INTO refusal FROM budget_period b JOIN budget g ON g.id = b.budget_id WHERE b.id = q_id[blocker];
    END IF;
    IF why = 'granted' THEN
      FOR j IN 1 .. coalesce(cardinality(h_call), 0) LOOP
        CONTINUE WHEN h_call[j] <> l_id[i];
        k := array_position(q_id, h_period[j]);
        q_room[k] := q_room[k] - l_more[i];
        q_more[k] := q_more[k] + l_more[i];
        IF q_hard[k] THEN
          least := least(least, q_room[k]);
        END IF;
      END LOOP;
    ELSE
      l_more[i] := 0;
    END IF;
    verdict := verdict || why;
    details := details || CASE why WHEN 'granted' THEN jsonb_build_object('remaining', least::text)
                                   ELSE jsonb_build_object('budget', refusal) END;
    refusals := refusals || CASE WHEN why = 'granted' OR NOT waits[array_position(ids, l_id[i])] THEN refusal END;
  END LOOP;
  UPDATE budget_period b SET held = b.held + s.more FROM unnest(q_id, q_more) s(id, more) WHERE b.id = s.id AND s.more > 0;
  UPDATE reservation h SET amount = h.amount + s.more FROM unnest(l_id, l_more) s(id, more)
   WHERE h.usage_id = s.id AND s.more > 0 AND h.usage_id >= lo AND h.usage_id <= hi;
  UPDATE usage_record u SET hold_amount = u.hold_amount + s.more,
         refusal = CASE s.why WHEN 'granted' THEN coalesce(u.refusal, s.refusal) ELSE coalesce(s.refusal, u.refusal) END
    FROM unnest(l_id, l_more, refusals, verdict) s(id, more, refusal, why)
   WHERE u.id = s.id AND (s.more > 0 OR s.refusal IS NOT NULL) AND u.id >= lo AND u.id <= hi;
  RETURN QUERY SELECT u.id, coalesce(verdict[array_position(l_id, u.id)], 'stale'), details[array_position(l_id, u.id)]
    FROM unnest(ids) u(id);
  PERFORM set_config('app.ledger', '', true);
END $$;
