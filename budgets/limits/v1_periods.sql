-- Stable read contract: one row per budget period (RELIABILITY 14); its limit
-- is that of this instant: base_amount + carried, at least nothing, + raised. Row policies of the reader apply.
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_periods WITH (security_invoker = true) AS
SELECT q.id AS period_id, q.organization_id, q.budget_id, b.name::text AS budget_name, b.scope::text AS scope_type,
       b.scope_id, b.filters, q.enforcement::text AS enforcement, q.hard,
       coalesce(nullif(b.time_zone, ''), o.time_zone)::text AS time_zone, q.starts_at, q.ends_at,
       CASE WHEN q.limit_until <= clock_timestamp() THEN (budgets_reckon(q.id, clock_timestamp())).amount ELSE q.limit_amount END AS limit_amount,
       q.arm, q.spent, q.held, q.uncertain, q.sealed_at, b.scope_value::text AS scope_value,
       CASE WHEN q.limit_until <= clock_timestamp() THEN (budgets_reckon(q.id, clock_timestamp())).base ELSE q.base_amount END AS base_amount,
       CASE WHEN q.limit_until <= clock_timestamp() THEN (budgets_reckon(q.id, clock_timestamp())).carried ELSE q.carried END AS carried,
       CASE WHEN q.limit_until <= clock_timestamp() THEN (budgets_reckon(q.id, clock_timestamp())).raised ELSE q.raised END AS raised
  FROM budget_period q
  JOIN budget b ON b.organization_id = q.organization_id AND b.id = q.budget_id
  JOIN organization o ON o.id = q.organization_id;
