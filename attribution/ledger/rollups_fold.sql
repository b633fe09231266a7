-- Adds the ledger entries of transactions [lo, hi) to the rollups, of one organization or of all.
-- An entry counts once in every facet of every grain; user, path and prompt have no hours. An hour's bucket is the coarsest of 60, 30 and 15
-- minutes on whose grid both the organization's midnights and UTC's lie; a day's and a month's is the
-- organization's own first date at 00:00 UTC, in the zone its rollups were begun with. Latency is that of calls settled from held. A call
-- is unpriced by its entries without amount, and no longer once such an entry is reversed (re-rating).
-- Only what never changes again may be read from a call: a settled one keeps its columns, whatever is
-- booked later; an uncertain one may still turn out to be of another provider and model, so the account
-- `uncertain` is kept by requested model, without provider. Thus advancing and rebuilding agree.
-- Entries are first summed per call's dimensions, so that facets and grains multiply few rows.
-- owner: ledger
CREATE OR REPLACE FUNCTION attribution_rollups_fold(lo xid8, hi xid8, org uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET work_mem = '64MB' AS $$  -- a backlog of a hundred thousand calls is sorted in memory
#variable_conflict use_column
DECLARE
  folded bigint; first uuid; last uuid;
BEGIN
  SELECT count(*), min(e.usage_id::text)::uuid, max(e.usage_id::text)::uuid INTO folded, first, last FROM ledger_entry e
   WHERE e.xid >= lo AND e.xid < hi AND (org IS NULL OR e.organization_id = org);
  IF folded = 0 THEN
    RETURN 0;
  END IF;
  INSERT INTO rollup_zone (organization_id, time_zone)
    SELECT o.id, o.time_zone FROM organization o WHERE (org IS NULL OR o.id = org)
       AND NOT EXISTS (SELECT 1 FROM rollup_zone z WHERE z.organization_id = o.id);
  WITH entry AS MATERIALIZED (
    SELECT e.organization_id, e.cost_center_id, u.department_id, e.account, e.token_class, e.quantity, e.usd_amount, e.call_count,
           date_bin(CASE WHEN local.shift % 60 = 0 THEN interval '60 min' WHEN local.shift % 30 = 0 THEN interval '30 min'
                         ELSE interval '15 min' END, e.occurred_at, timestamptz '2000-01-01 00:00+00') AS hour,
           date_trunc('day', e.occurred_at AT TIME ZONE o.time_zone) AT TIME ZONE 'UTC' AS day,
           date_trunc('month', e.occurred_at AT TIME ZONE o.time_zone) AT TIME ZONE 'UTC' AS month,
           e.account = 'spent' AND u.is_estimated AS is_estimated,
           CASE WHEN e.account = 'spent' AND e.kind = 'settle' AND e.call_count = 1 THEN u.total_ms END AS total_ms,
           CASE e.account WHEN 'spent' THEN coalesce(u.provider, '') ELSE '' END AS provider,
           coalesce(CASE e.account WHEN 'spent' THEN nullif(u.model_billed, '') END, u.model_requested, '') AS model,
           coalesce(u.user_id, '') AS user_id, coalesce(u.api_key_id::text, '') AS key, coalesce(u.feature, '') AS feature,
           coalesce(u.path, '') AS path, coalesce(u.environment, '') AS environment,
           coalesce(nullif(u.prompt_name, ''), encode(u.prompt_fp, 'hex'), '') AS prompt
      FROM ledger_entry e JOIN rollup_zone o ON o.organization_id = e.organization_id
      CROSS JOIN LATERAL (SELECT (extract(epoch FROM (e.occurred_at AT TIME ZONE o.time_zone)
                                  - (e.occurred_at AT TIME ZONE 'UTC')) / 60)::int AS shift) local
      LEFT JOIN usage_record u ON u.id = e.usage_id AND u.id >= first AND u.id <= last
     WHERE e.xid >= lo AND e.xid < hi AND (org IS NULL OR e.organization_id = org)),
  slow AS (
    INSERT INTO latency_rollup AS r (organization_id, grain, bucket, cost_center_id, department_id, provider, model, step, calls)
    SELECT organization_id, CASE WHEN grouping(hour) = 0 THEN 'hour' WHEN grouping(day) = 0 THEN 'day' ELSE 'month' END,
           coalesce(hour, day, month), cost_center_id, department_id, provider, model, step, count(*)
      FROM (SELECT *, CASE WHEN total_ms <= 1 THEN 0 ELSE ceil(round(ln(total_ms::numeric) / ln(1.04), 9)) END::smallint AS step
              FROM entry WHERE total_ms IS NOT NULL) timed
     GROUP BY GROUPING SETS ((organization_id, hour, cost_center_id, department_id, provider, model, step),
                             (organization_id, day, cost_center_id, department_id, provider, model, step),
                             (organization_id, month, cost_center_id, department_id, provider, model, step))
     ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT (organization_id, grain, bucket, cost_center_id, department_id, provider, model, step)
    DO UPDATE SET calls = r.calls + excluded.calls),
  met AS (
    SELECT organization_id, cost_center_id, department_id, hour, day, month, provider, model, user_id, key, feature, path,
      environment, prompt, sum(call_count) AS calls,
      coalesce(sum(call_count) FILTER (WHERE account = 'spent' AND usd_amount IS NULL), 0) AS unpriced_calls,
      coalesce(sum(call_count) FILTER (WHERE is_estimated), 0) AS estimated_calls,
      coalesce(sum(usd_amount) FILTER (WHERE account = 'spent'), 0) AS usd_amount,
      coalesce(sum(usd_amount) FILTER (WHERE account = 'uncertain'), 0) AS uncertain_amount,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'input'), 0) AS input_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'cache_read'), 0) AS cache_read_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'cache_write'), 0) AS cache_write_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'cache_write_1h'), 0) AS cache_write_1h_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'output'), 0) AS output_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'reasoning'), 0) AS reasoning_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'audio_input'), 0) AS audio_input_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'audio_cache_read'), 0) AS audio_cache_read_tokens,
      coalesce(sum(quantity) FILTER (WHERE token_class = 'audio_output'), 0) AS audio_output_tokens,
      coalesce(sum(total_ms), 0) AS latency_sum_ms, count(total_ms) AS latency_calls
      FROM entry GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
  INSERT INTO rollup AS r (organization_id, grain, facet, bucket, cost_center_id, department_id, provider, model, value,
    calls, unpriced_calls, estimated_calls, usd_amount, uncertain_amount, input_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens, audio_cache_read_tokens,
    audio_output_tokens, latency_sum_ms, latency_calls)
  SELECT m.organization_id, CASE WHEN grouping(f.hour) = 0 THEN 'hour' WHEN grouping(m.day) = 0 THEN 'day' ELSE 'month' END,
    f.facet, coalesce(f.hour, m.day, m.month), m.cost_center_id, m.department_id, m.provider, m.model, f.value,
    sum(m.calls), sum(m.unpriced_calls), sum(m.estimated_calls), sum(m.usd_amount), sum(m.uncertain_amount),
    sum(m.input_tokens), sum(m.cache_read_tokens), sum(m.cache_write_tokens), sum(m.cache_write_1h_tokens),
    sum(m.output_tokens), sum(m.reasoning_tokens), sum(m.audio_input_tokens), sum(m.audio_cache_read_tokens),
    sum(m.audio_output_tokens), sum(m.latency_sum_ms), sum(m.latency_calls)
    FROM met m
    CROSS JOIN LATERAL (VALUES ('model', m.model, m.hour), ('user', m.user_id, NULL), ('key', m.key, m.hour),
      ('feature', m.feature, m.hour), ('path', m.path, NULL), ('prompt', m.prompt, NULL),
      ('environment', m.environment, m.hour)) AS f(facet, value, hour)
   GROUP BY GROUPING SETS ((m.organization_id, f.facet, f.hour, m.cost_center_id, m.department_id, m.provider, m.model, f.value),
                           (m.organization_id, f.facet, m.day, m.cost_center_id, m.department_id, m.provider, m.model, f.value),
                           (m.organization_id, f.facet, m.month, m.cost_center_id, m.department_id, m.provider, m.model, f.value))
  HAVING grouping(f.hour) = 1 OR f.hour IS NOT NULL
   ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
  ON CONFLICT (organization_id, grain, facet, bucket, cost_center_id, department_id, provider, model, value) DO UPDATE SET
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
