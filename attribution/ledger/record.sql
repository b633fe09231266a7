-- Writes usage records of calls that were made elsewhere, settled at once, with their entries: what
-- attribution_open and attribution_post do for a carried call, in one pass and without a hold.
-- p: {"events": [{id, source, cost, lines, ...columns}]}, amounts in USD as text, NULL cost = unpriced;
-- only the events named in `wanted` are written. Several of one id count once. Called by budgets_ingest.
-- owner: ledger
CREATE OR REPLACE FUNCTION attribution_record(p jsonb, wanted uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
WITH item AS MATERIALIZED (
  SELECT DISTINCT ON (c.id) c.*, to_timestamp(uuid7_ms(c.id) / 1000.0) AS at, (p ->> 'organization_id')::uuid AS org
    FROM jsonb_to_recordset(p -> 'events') AS c(
    id uuid, source text, api_key_id uuid, api_key_name text, department_id uuid, cost_center_id uuid,
    is_attribution_flagged boolean, user_id text, path text, feature text, session_id text, feature_flag text,
    environment text, tags jsonb, prompt_fp text, prompt_name text, provider text,
    model_requested text, model_billed text, provider_model text, service_tier text, wire_format text, is_stream boolean,
    cost numeric, cost_source text, is_estimated boolean, price_version bigint, lines jsonb,
    input_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, cache_write_1h_tokens bigint,
    output_tokens bigint, reasoning_tokens bigint, audio_input_tokens bigint, audio_cache_read_tokens bigint,
    audio_output_tokens bigint, http_status int, error_code text, first_byte_ms int, total_ms int)
   WHERE c.id = ANY (wanted) ORDER BY c.id),
written AS (
  INSERT INTO usage_record (
    id, organization_id, api_key_id, api_key_name, department_id, cost_center_id, is_attribution_flagged,
    user_id, path, feature, session_id, feature_flag, environment, tags, user_agent, prompt_fp, prompt_name,
    route, provider, model_requested, model_billed, provider_model, service_tier, wire_format, is_stream, state, hold_amount,
    cost, cost_source, is_estimated, price_version, input_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_cache_read_tokens,
    audio_output_tokens, attempts, upstream_request_id, http_status, error_code, source, occurred_at,
    first_byte_ms, total_ms, settled_at)
  SELECT i.id, i.org, i.api_key_id, coalesce(i.api_key_name, ''), i.department_id, i.cost_center_id,
    coalesce(i.is_attribution_flagged, false), coalesce(i.user_id, ''), coalesce(i.path, ''), coalesce(i.feature, ''),
    coalesce(i.session_id, ''), coalesce(i.feature_flag, ''), coalesce(i.environment, ''), coalesce(i.tags, '{}'), '',
    decode(i.prompt_fp, 'hex'), coalesce(i.prompt_name, ''), '', coalesce(i.provider, ''), coalesce(i.model_requested, ''),
    coalesce(i.model_billed, ''), coalesce(i.provider_model, i.model_billed, i.model_requested, ''), coalesce(i.service_tier, ''), coalesce(i.wire_format, ''), coalesce(i.is_stream, false),
    'settled', 0, i.cost, coalesce(i.cost_source, ''), coalesce(i.is_estimated, false), i.price_version,
    coalesce(i.input_tokens, 0), coalesce(i.cache_read_tokens, 0), coalesce(i.cache_write_tokens, 0),
    coalesce(i.cache_write_1h_tokens, 0), coalesce(i.output_tokens, 0), coalesce(i.reasoning_tokens, 0),
    coalesce(i.audio_input_tokens, 0), coalesce(i.audio_cache_read_tokens, 0), coalesce(i.audio_output_tokens, 0),
    0, '', i.http_status, coalesce(i.error_code, ''), i.source, i.at, i.first_byte_ms, i.total_ms, clock_timestamp()
  FROM item i),
line AS (
  SELECT i.*, l.token_class, l.quantity, l.unit_price, l.usd_amount, (l.n = 1)::int AS call_count
    FROM item i CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(i.lines) AS (token_class text, quantity numeric,
         unit_price numeric, usd_amount numeric)) WITH ORDINALITY AS l(token_class, quantity, unit_price, usd_amount, n)
   WHERE jsonb_array_length(i.lines) > 0
  UNION ALL
  SELECT i.*, '', 0, NULL, i.cost, 1 FROM item i WHERE coalesce(jsonb_array_length(i.lines), 0) = 0)
INSERT INTO ledger_entry (id, organization_id, usage_id, kind, account, token_class, quantity, unit_price,
  usd_amount, call_count, price_version, cost_center_id, occurred_at, posted_at, booked_month, reason)
SELECT uuid7_at(clock_timestamp()), org, id, 'settle', 'spent', token_class, quantity, unit_price, usd_amount,
  call_count, price_version, cost_center_id, at, clock_timestamp(), date_trunc('month', at AT TIME ZONE 'UTC')::date, ''
FROM line;
END $$;
