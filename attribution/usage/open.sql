-- Opens usage records, state held, for calls that are about to be admitted.
-- p: {"worker": uuid, "calls": [{id, organization_id, amount, deadline_s, ...columns}]}; only the
-- calls named in `wanted` are opened, all for NULL; the first of several with one id. Returns the ids
-- that are new: a call whose record exists (a question asked again after an unknown commit) is left
-- alone. Rows are written in id order, so that the same question asked twice at once only waits.
-- Called by budgets_admit only.
-- owner: ledger
CREATE OR REPLACE FUNCTION attribution_open(p jsonb, wanted uuid[]) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  fresh uuid[];
BEGIN
WITH opened AS (
  INSERT INTO usage_record (
    id, organization_id, api_key_id, api_key_name, department_id, cost_center_id, is_attribution_flagged,
    user_id, path, feature, session_id, feature_flag, environment, tags, ip, user_agent,
    prompt_fp, prompt_name, route, provider, upstream_id, model_requested, model_billed, provider_model, service_tier,
    wire_format, is_stream, state, hold_amount, cost_source, is_estimated, price_version,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    reasoning_tokens, audio_input_tokens, audio_cache_read_tokens, audio_output_tokens,
    attempts, upstream_request_id, error_code, worker_id, source, occurred_at, deadline_at)
  SELECT c.id, c.organization_id, c.api_key_id, coalesce(c.api_key_name, ''), c.department_id, c.cost_center_id,
    coalesce(c.is_attribution_flagged, false), coalesce(c.user_id, ''), coalesce(c.path, ''),
    coalesce(c.feature, ''), coalesce(c.session_id, ''), coalesce(c.feature_flag, ''),
    coalesce(c.environment, ''), coalesce(c.tags, '{}'), c.ip, coalesce(c.user_agent, ''),
    c.prompt_fp, coalesce(c.prompt_name, ''), coalesce(c.route, ''), coalesce(c.provider, ''), c.upstream_id,
    coalesce(c.model_requested, ''), '', coalesce(c.provider_model, ''), '', coalesce(c.wire_format, ''), coalesce(c.is_stream, false),
    'held', c.amount, '', false, c.price_version, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '',
    (p ->> 'worker')::uuid, 'gateway', to_timestamp(uuid7_ms(c.id) / 1000.0),
    now() + make_interval(secs => coalesce(c.deadline_s, 600))
  FROM ROWS FROM (jsonb_to_recordset(p -> 'calls') AS (
    id uuid, organization_id uuid, api_key_id uuid, api_key_name text, department_id uuid, cost_center_id uuid,
    is_attribution_flagged boolean, user_id text, path text, feature text, session_id text, feature_flag text,
    environment text, tags jsonb, ip inet, user_agent text, prompt_fp bytea, prompt_name text, route text,
    provider text, upstream_id uuid, model_requested text, provider_model text, wire_format text, is_stream boolean,
    amount numeric, price_version bigint, deadline_s int)) WITH ORDINALITY AS c
  WHERE wanted IS NULL OR c.id = ANY (wanted)
  ORDER BY c.id, c.ordinality
  ON CONFLICT (id) DO NOTHING
  RETURNING usage_record.id)
SELECT coalesce(array_agg(o.id), '{}') INTO fresh FROM opened o;
RETURN fresh;
END $$;
