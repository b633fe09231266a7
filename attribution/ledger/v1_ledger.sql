-- Stable read contract: one row per ledger entry (RELIABILITY 14). Row policies of the reader apply.
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_ledger WITH (security_invoker = true) AS
SELECT e.id AS entry_id, e.organization_id, e.usage_id AS call_id, e.kind, e.account, e.token_class, e.quantity,
       e.usd_amount, 'USD'::text AS currency, e.cost_center_id, e.price_version, e.occurred_at, e.posted_at,
       e.booked_month, e.reverses_id AS reverses_entry_id, e.reason, e.actor_id
  FROM ledger_entry e;
