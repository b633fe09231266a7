-- Moves calls out of `held` and `uncertain`: the one way in which spent, held and uncertain follow
-- a call. Shared by settle (p_kind settle) and expire (p_kind expire), never called from outside.
-- p: [{id, state: settled | released | uncertain, cost, lines, ...}], see attribution_post. Of several
-- with one id the first truth counts, else the first. Another state or a negative cost is an error.
-- Of budgets with filters, the cost goes to the periods that the billed target matches and 0 to the
-- others, whose reservations are removed: a reservation says for ever where a call counts.
-- Answers {"remaining"} with `done` for a call that moved, `noop` for one that had moved before:
-- settling twice changes nothing, a late truth after expiry lowers the charge. A call is charged at
-- most once by this guard on its state, not by any lease. Inside a tenant transaction, calls of any
-- other organization do not move. A call that passed its bound (error_code bound_breach) leaves an
-- open bound_breach, by which gateways refuse its kind. Lock order: usage records by id -> periods by id.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_resolve(p jsonb, p_kind text) RETURNS TABLE (call_id uuid, outcome text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  served uuid := NULLIF(current_setting('app.organization_id', true), '')::uuid;
  ids uuid[]; states text[]; costs numeric[]; is_sound boolean; lo uuid; hi uuid;
  l_id uuid[]; l_state text[];                                -- the records of the calls, locked
  moved uuid[] := '{}'; was text[] := '{}'; becomes text[] := '{}'; charge numeric[] := '{}'; least numeric[];
  h_call uuid[]; h_period bigint[]; h_amount numeric[];       -- the reservations of the calls that move
  h_counts boolean[];                                         -- whether the cost goes there; NULL: everywhere
  q_id bigint[]; q_hard boolean[]; q_room numeric[];          -- their periods, and how these change
  q_filters jsonb[];
  q_held numeric[]; q_uncertain numeric[]; q_spent numeric[];
  i int; j int; k int;
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
  SELECT array_agg(l.id), array_agg(l.state) INTO l_id, l_state
    FROM (SELECT s.id, s.state FROM usage_record s
           WHERE s.id = ANY (ids) AND s.id >= lo AND s.id <= hi AND (served IS NULL OR s.organization_id = served)
           ORDER BY s.id FOR NO KEY UPDATE) l;
  FOR j IN 1 .. coalesce(cardinality(l_id), 0) LOOP
    i := array_position(ids, l_id[j]);
    IF l_state[j] = 'held' OR l_state[j] = 'uncertain' AND states[i] <> 'uncertain' AND p_kind <> 'expire' THEN
      moved := moved || l_id[j]; was := was || l_state[j]; becomes := becomes || states[i]; charge := charge || costs[i];
    END IF;
  END LOOP;
  IF cardinality(moved) > 0 THEN
    SELECT array_agg(h.usage_id), array_agg(h.budget_period_id), array_agg(h.amount) INTO h_call, h_period, h_amount
      FROM reservation h WHERE h.usage_id = ANY (moved) AND h.usage_id >= lo AND h.usage_id <= hi;
    SELECT array_agg(b.id), array_agg(b.hard), array_agg(b.limit_amount - b.spent - b.held - b.uncertain),
           array_agg(0::numeric), array_agg(0::numeric), array_agg(0::numeric), array_agg(b.filters)
      INTO q_id, q_hard, q_room, q_held, q_uncertain, q_spent, q_filters
      FROM (SELECT * FROM budget_period r WHERE r.id = ANY (h_period) ORDER BY r.id FOR NO KEY UPDATE) b;
    IF cardinality(array_remove(q_filters, NULL)) > 0 AND 'settled' = ANY (becomes) THEN
      -- held wherever a possible target matched; from now on it counts where the one that billed does
      h_counts := ARRAY(
        SELECT becomes[array_position(moved, x.call)] <> 'settled'
            OR budgets_matches(q_filters[array_position(q_id, x.period)], coalesce(i.provider, u.provider),
                               ARRAY[u.route, coalesce(i.provider_model, u.provider_model)], u.feature, u.environment)
          FROM unnest(h_call, h_period) WITH ORDINALITY x(call, period, n)
          JOIN usage_record u ON u.id = x.call AND u.id >= lo AND u.id <= hi
          JOIN jsonb_to_recordset(p) AS i(id uuid, provider text, provider_model text) ON i.id = x.call ORDER BY x.n);
      DELETE FROM reservation h USING unnest(h_call, h_period, h_counts) x(call, period, counts)
       WHERE NOT x.counts AND h.usage_id = x.call AND h.budget_period_id = x.period AND h.usage_id >= lo AND h.usage_id <= hi;
    END IF;
    FOR j IN 1 .. coalesce(cardinality(h_call), 0) LOOP
      i := array_position(moved, h_call[j]);
      k := array_position(q_id, h_period[j]);
      IF was[i] = 'held' THEN
        q_held[k] := q_held[k] - h_amount[j];
      ELSIF was[i] = 'uncertain' THEN
        q_uncertain[k] := q_uncertain[k] - h_amount[j];
      END IF;
      IF becomes[i] = 'uncertain' THEN
        q_uncertain[k] := q_uncertain[k] + h_amount[j];
      ELSIF becomes[i] = 'settled' AND coalesce(h_counts[j], true) THEN
        q_spent[k] := q_spent[k] + charge[i];
      END IF;
    END LOOP;
    UPDATE budget_period b SET held = b.held + m.held, uncertain = b.uncertain + m.uncertain, spent = b.spent + m.spent
      FROM unnest(q_id, q_held, q_uncertain, q_spent) m(id, held, uncertain, spent) WHERE b.id = m.id;
    PERFORM attribution_post(p, moved, was, p_kind);
    IF p @? '$[*] ? (@.error_code == "bound_breach")' THEN
      INSERT INTO bound_breach (organization_id, model, wire_format, usage_id, hold, cost, found_at)
        SELECT u.organization_id, u.route, u.wire_format, u.id, u.hold_amount, u.cost, clock_timestamp()
          FROM usage_record u WHERE u.id = ANY (moved) AND u.id >= lo AND u.id <= hi AND u.error_code = 'bound_breach'
         ORDER BY u.organization_id, u.route, u.wire_format, u.id ON CONFLICT DO NOTHING;
    END IF;
    IF 'released' = ANY (becomes) THEN
      DELETE FROM idempotency i USING unnest(moved, becomes) u(id, becomes) WHERE i.usage_id = u.id AND u.becomes = 'released';
    END IF;
    IF cardinality(q_id) > 0 THEN
      PERFORM budgets_raise(q_id);
    END IF;
  END IF;
  least := array_fill(NULL::numeric, ARRAY[coalesce(cardinality(ids), 0)]);
  FOR j IN 1 .. coalesce(cardinality(h_call), 0) LOOP
    i := array_position(ids, h_call[j]);
    k := array_position(q_id, h_period[j]);
    IF q_hard[k] AND coalesce(h_counts[j], true) THEN
      least[i] := least(least[i], q_room[k] - q_held[k] - q_uncertain[k] - q_spent[k]);
    END IF;
  END LOOP;
  RETURN QUERY
    SELECT u.id, CASE WHEN u.id = ANY (moved) THEN 'done' ELSE 'noop' END, jsonb_build_object('remaining', u.least::text)
      FROM unnest(ids, least) u(id, least);
END $$;
