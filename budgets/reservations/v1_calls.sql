-- Stable read contract: one row per call (RELIABILITY 14). Row policies of the reader apply.
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_calls WITH (security_invoker = true) AS
SELECT u.id AS call_id, u.organization_id, u.api_key_id, u.department_id, u.cost_center_id, c.code::text AS cost_center_code,
       u.user_id, u.path, u.feature, u.session_id, u.feature_flag, u.environment, u.tags, u.route, u.provider,
       u.model_requested, u.model_billed, u.service_tier, u.wire_format, u.is_stream, u.state, u.hold_amount, u.cost,
       'USD'::text AS currency, u.cost_source, u.is_estimated, u.price_version, u.input_tokens, u.cache_read_tokens,
       u.cache_write_tokens, u.cache_write_1h_tokens, u.output_tokens, u.reasoning_tokens, u.audio_input_tokens,
       u.audio_cache_read_tokens, u.audio_output_tokens, u.attempts, u.upstream_request_id,
       (SELECT encode(i.idem_hash, 'hex') FROM idempotency i WHERE i.organization_id = u.organization_id
           AND i.api_key_id = u.api_key_id AND i.usage_id = u.id) AS idem_hash,
       encode(u.prompt_fp, 'hex') AS prompt_fp, u.worker_id, u.http_status, u.error_code, u.refusal, u.occurred_at,
       u.deadline_at, u.first_byte_ms, u.total_ms, u.settled_at, u.is_attribution_flagged, u.source
  FROM usage_record u LEFT JOIN cost_center c ON c.organization_id = u.organization_id AND c.id = u.cost_center_id;
