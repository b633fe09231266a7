-- Stable read contract: one row per process that holds or held calls (RELIABILITY 14).
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_workers WITH (security_invoker = true) AS
SELECT w.id AS worker_id, w.role, w.host, w.version, w.started_at, w.beat_at,
       CASE WHEN w.beat_at < clock_timestamp() - interval '15 s' THEN 'dead'
            WHEN w.is_draining THEN 'draining' ELSE 'live' END AS state,
       (SELECT count(*)::int FROM usage_record u WHERE u.worker_id = w.id AND u.state = 'held') AS open_calls
  FROM gateway_worker w;
