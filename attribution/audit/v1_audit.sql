-- Stable read contract: one row per audit entry, sealed or not (RELIABILITY 14). Row policies of the reader apply.
-- select: app, platform, backup
CREATE OR REPLACE VIEW v1_audit WITH (security_invoker = true) AS
SELECT a.id AS event_id, a.organization_id, s.seq, a.at, a.actor_type::text AS actor_type, a.actor_id,
       a.action::text AS action, a.object_type::text AS object_type, a.object_id::text AS object_id,
       a.before_hash::text AS before_hash, a.after_hash::text AS after_hash, a.ip, a.request_id::text AS request_id,
       s.prev_hash::text AS prev_hash, s.hash::text AS hash
  FROM audit_entry a LEFT JOIN audit_seal s ON s.organization_id = a.organization_id AND s.id = a.id;
