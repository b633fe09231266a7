-- Stable read contract: one row per alert, with its deliveries (RELIABILITY 14). Row policies of the reader apply.
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_alerts WITH (security_invoker = true) AS
SELECT a.id AS alert_id, a.organization_id, q.budget_id, a.budget_period_id AS period_id, a.basis, a.unit, a.threshold,
       a.arm, a.limit_at, a.actual_at, a.crossed_at, d.delivered_at, d.deliveries
  FROM alert a
  JOIN budget_period q ON q.organization_id = a.organization_id AND q.id = a.budget_period_id
  CROSS JOIN LATERAL (
    SELECT min(n.done_at) AS delivered_at, count(n.done_at)::int AS deliveries FROM notification n
     WHERE n.organization_id = a.organization_id AND n.topic = 'budget.threshold' AND n.recipient <> '' AND n.channel <> 'in_app'
       AND n.payload ->> 'alert_id' = a.id::text) d;
