-- Adds the ledger entries of transactions [lo, hi) to the rollups, of one organization or of all.
-- An entry counts once in every facet. A bucket is the coarsest of 60, 30 and 15 minutes on whose grid
-- both the organization's midnights and UTC's lie. Latency is that of calls settled from held. A call
-- is unpriced by its entries without amount, and no longer once such an entry is reversed (re-rating).
-- Only what never changes again may be read from a call: a settled one keeps its columns, whatever is
-- booked later; an uncertain one may still turn out to be of another provider and model, so the account
-- `uncertain` is kept by requested model, without provider. Thus advancing and rebuilding agree.
-- owner: ledger
CREATE OR REPLACE FUNCTION attribution_rollups_fold(lo xid8, hi xid8, org uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  folded bigint; first uuid; last uuid;
BEGIN
  SELECT count(*), min(e.usage_id::text)::uuid, max(e.usage_id::text)::uuid INTO folded, first, last FROM ledger_entry e
   WHERE e.xid >= lo AND e.xid < hi AND (org IS NULL OR e.organization_id = org);
  IF folded = 0 THEN
    RETURN 0;
  END IF;
  WITH entry AS MATERIALIZED (
    SELECT e.organization_id, e.cost_center_id, e.account, e.token_class, e.quantity, e.usd_amount, e.call_count, e.kind,
           date_bin(CASE WHEN local.shift % 60 = 0 THEN interval '60 min' WHEN local.shift % 30 = 0 THEN interval '30 min'
                         ELSE interval '15 min' END, e.occurred_at, timestamptz '2000-01-01 00:00+00') AS bucket,
           u.id AS usage_id, u.is_estimated, u.total_ms,
           CASE e.account WHEN 'spent' THEN coalesce(u.provider, '') ELSE '' END AS provider,
           coalesce(CASE e.account WHEN 'spent' THEN nullif(u.model_billed, '') END, u.model_requested, '') AS model,
           coalesce(u.user_id, '') AS user_id, coalesce(u.api_key_id::text, '') AS key, coalesce(u.feature, '') AS feature,
           coalesce(u.path, '') AS path, coalesce(u.environment, '') AS environment,
           coalesce(nullif(u.prompt_name, ''), encode(u.prompt_fp, 'hex'), '') AS prompt
      FROM ledger_entry e JOIN organization o ON o.id = e.organization_id
      CROSS JOIN LATERAL (SELECT (extract(epoch FROM (e.occurred_at AT TIME ZONE o.time_zone)
                                  - (e.occurred_at AT TIME ZONE 'UTC')) / 60)::int AS shift) local
      LEFT JOIN usage_record u ON u.id = e.usage_id AND u.id >= first AND u.id <= last
     WHERE e.xid >= lo AND e.xid < hi AND (org IS NULL OR e.organization_id = org)),
  slow AS (
    INSERT INTO latency_rollup AS r (organization_id, bucket, cost_center_id, provider, model, step, calls)
    SELECT organization_id, bucket, cost_center_id, provider, model,
           CASE WHEN total_ms <= 1 THEN 0 ELSE ceil(round(ln(total_ms::numeric) / ln(1.04), 9)) END::smallint, count(*)
      FROM entry WHERE account = 'spent' AND kind = 'settle' AND call_count = 1 AND total_ms IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (organization_id, bucket, cost_center_id, provider, model, step) DO UPDATE SET calls = r.calls + excluded.calls)
  INSERT INTO rollup AS r (organization_id, facet, bucket, cost_center_id, provider, value, calls, unpriced_calls,
    estimated_calls, usd_amount, uncertain_amount, input_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_cache_read_tokens,
    audio_output_tokens, latency_sum_ms, latency_calls)
  SELECT e.organization_id, f.facet, e.bucket, e.cost_center_id, f.provider, f.value, sum(e.call_count),
    coalesce(sum(e.call_count) FILTER (WHERE e.account = 'spent' AND e.usd_amount IS NULL), 0),
    coalesce(sum(e.call_count) FILTER (WHERE e.is_estimated AND e.account = 'spent'), 0),
    coalesce(sum(e.usd_amount) FILTER (WHERE e.account = 'spent'), 0),
    coalesce(sum(e.usd_amount) FILTER (WHERE e.account = 'uncertain'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'input'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'cache_read'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'cache_write'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'cache_write_1h'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'output'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'reasoning'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'audio_input'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'audio_cache_read'), 0),
    coalesce(sum(e.quantity) FILTER (WHERE e.token_class = 'audio_output'), 0),
    coalesce(sum(e.total_ms) FILTER (WHERE e.account = 'spent' AND e.kind = 'settle' AND e.call_count = 1), 0),
    count(e.total_ms) FILTER (WHERE e.account = 'spent' AND e.kind = 'settle' AND e.call_count = 1)
    FROM entry e
    CROSS JOIN LATERAL (VALUES ('model', e.provider, e.model), ('user', '', e.user_id), ('key', '', e.key),
      ('feature', '', e.feature), ('path', '', e.path), ('prompt', '', e.prompt),
      ('environment', '', e.environment)) AS f(facet, provider, value)
   GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
  ON CONFLICT (organization_id, facet, bucket, cost_center_id, provider, value) DO UPDATE SET
    calls = r.calls + excluded.calls, unpriced_calls = r.unpriced_calls + excluded.unpriced_calls,
    estimated_calls = r.estimated_calls + excluded.estimated_calls,
    usd_amount = r.usd_amount + excluded.usd_amount, uncertain_amount = r.uncertain_amount + excluded.uncertain_amount,
    input_tokens = r.input_tokens + excluded.input_tokens, cache_read_tokens = r.cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = r.cache_write_tokens + excluded.cache_write_tokens,
    cache_write_1h_tokens = r.cache_write_1h_tokens + excluded.cache_write_1h_tokens,
    output_tokens = r.output_tokens + excluded.output_tokens, reasoning_tokens = r.reasoning_tokens + excluded.reasoning_tokens,
    audio_input_tokens = r.audio_input_tokens + excluded.audio_input_tokens,
    audio_cache_read_tokens = r.audio_cache_read_tokens + excluded.audio_cache_read_tokens,
    audio_output_tokens = r.audio_output_tokens + excluded.audio_output_tokens,
    latency_sum_ms = r.latency_sum_ms + excluded.latency_sum_ms, latency_calls = r.latency_calls + excluded.latency_calls;
  RETURN folded;
END $$;
