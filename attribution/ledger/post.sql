-- Finishes usage records and books their entries; the only writer of ledger entries of calls.
-- p: [{id, state, cost, lines: [{token_class, quantity, unit_price, usd_amount}], ...columns}];
-- `moved` are the calls whose rows the caller locked, in id order, `p_was` their states before.
-- Entries: -hold on `uncertain` where a call leaves that state, +hold where it enters it, one line
-- per token class on `spent` where it settles (one empty line where there is none, so that every
-- settled call has an entry). The call is counted with the first line of its state and leaves the
-- count with that line's reversal. Amounts are USD; NULL = unpriced, then in every line; lines that
-- do not add up to the cost are an error. Takes no locks of its own.
-- owner: ledger
CREATE OR REPLACE FUNCTION attribution_post(p jsonb, moved uuid[], p_was text[], p_kind text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  unequal uuid;
BEGIN
WITH done AS (
  UPDATE usage_record u SET
    state = i.state,
    cost = CASE i.state WHEN 'settled' THEN i.cost WHEN 'released' THEN 0 END,
    cost_source = CASE i.state WHEN 'uncertain' THEN 'bound' ELSE coalesce(i.cost_source, '') END,
    is_estimated = coalesce(i.is_estimated, false),
    usage = coalesce(i.usage, u.usage),
    input_tokens = coalesce(i.input_tokens, 0), cache_read_tokens = coalesce(i.cache_read_tokens, 0),
    cache_write_tokens = coalesce(i.cache_write_tokens, 0),
    cache_write_1h_tokens = coalesce(i.cache_write_1h_tokens, 0),
    output_tokens = coalesce(i.output_tokens, 0), reasoning_tokens = coalesce(i.reasoning_tokens, 0),
    audio_input_tokens = coalesce(i.audio_input_tokens, 0),
    audio_cache_read_tokens = coalesce(i.audio_cache_read_tokens, 0),
    audio_output_tokens = coalesce(i.audio_output_tokens, 0),
    provider = coalesce(i.provider, u.provider), upstream_id = coalesce(i.upstream_id, u.upstream_id),
    model_billed = coalesce(i.model_billed, u.model_billed), provider_model = coalesce(i.provider_model, u.provider_model),
    service_tier = coalesce(i.service_tier, u.service_tier),
    price_version = coalesce(i.price_version, u.price_version), attempts = coalesce(i.attempts, u.attempts),
    upstream_request_id = coalesce(i.upstream_request_id, u.upstream_request_id),
    http_status = coalesce(i.http_status, u.http_status), error_code = coalesce(i.error_code, u.error_code),
    first_byte_ms = coalesce(i.first_byte_ms, u.first_byte_ms), total_ms = coalesce(i.total_ms, u.total_ms),
    settled_at = clock_timestamp()
  FROM jsonb_to_recordset(p) AS i(
    id uuid, state text, cost numeric(24,12), cost_source text, is_estimated boolean, lines jsonb, usage jsonb,
    input_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, cache_write_1h_tokens bigint,
    output_tokens bigint, reasoning_tokens bigint, audio_input_tokens bigint, audio_cache_read_tokens bigint,
    audio_output_tokens bigint, provider text, upstream_id uuid, model_billed text, provider_model text, service_tier text,
    price_version bigint, attempts int, upstream_request_id text, http_status int, error_code text,
    first_byte_ms int, total_ms int, reason text, actor_id uuid)
  JOIN unnest(moved, p_was) AS m(id, was) ON m.id = i.id
  WHERE u.id = i.id AND u.id >= moved[1] AND u.id <= moved[cardinality(moved)]
  RETURNING u.id, u.organization_id, u.cost_center_id, u.occurred_at, u.hold_amount, u.price_version, u.state,
            m.was, i.cost AS charge, i.lines, i.reason, i.actor_id),
line AS MATERIALIZED (
  SELECT d.*, l.account, l.token_class, l.quantity, l.unit_price, l.usd_amount, l.call_count
  FROM done d
  CROSS JOIN LATERAL (
    SELECT 'uncertain' AS account, '' AS token_class, 0::numeric AS quantity, NULL::numeric AS unit_price,
           -d.hold_amount AS usd_amount, -1 AS call_count
     WHERE d.was = 'uncertain'
    UNION ALL
    SELECT 'uncertain', '', 0, NULL, d.hold_amount, 1 WHERE d.state = 'uncertain'
    UNION ALL
    SELECT 'spent', x.token_class, x.quantity, x.unit_price, CASE WHEN d.charge IS NOT NULL THEN x.usd_amount END,
           (x.n = 1)::int
      FROM ROWS FROM (jsonb_to_recordset(d.lines) AS (token_class text, quantity numeric, unit_price numeric,
           usd_amount numeric(24,12))) WITH ORDINALITY AS x(token_class, quantity, unit_price, usd_amount, n)
     WHERE d.state = 'settled' AND jsonb_array_length(d.lines) > 0
    UNION ALL
    SELECT 'spent', '', 0, NULL, d.charge, 1
     WHERE d.state = 'settled' AND coalesce(jsonb_array_length(d.lines), 0) = 0) l),
booked AS (
INSERT INTO ledger_entry (id, organization_id, usage_id, kind, account, token_class, quantity, unit_price,
  usd_amount, call_count, price_version, cost_center_id, occurred_at, posted_at, booked_month, reason, actor_id)
SELECT uuid7_at(clock_timestamp()), organization_id, id,
  CASE was WHEN 'uncertain' THEN 'correct' ELSE p_kind END, account, token_class, quantity, unit_price,
  usd_amount, call_count, price_version, cost_center_id, occurred_at, clock_timestamp(),
  date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date, coalesce(reason, ''), actor_id
FROM line)
SELECT l.id INTO unequal FROM line l WHERE l.account = 'spent' AND l.charge IS NOT NULL
 GROUP BY l.id, l.charge HAVING sum(l.usd_amount) <> l.charge OR count(l.usd_amount) < count(*) LIMIT 1;
IF unequal IS NOT NULL THEN
  RAISE EXCEPTION 'the lines of call % do not add up to its cost', unequal USING ERRCODE = '22023';
END IF;
END $$;
