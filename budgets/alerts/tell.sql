-- Leaves events that people are to hear of, each once for ever by topic and key:
-- {"organization_id", "events": [{"topic", "key", "payload"}]} -> number of new ones.
-- Runs with the rights of whoever calls it; budgets.notifications addresses what it finds.
-- execute: app
CREATE OR REPLACE FUNCTION budgets_tell(p jsonb) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  WITH told AS (
    INSERT INTO notification (id, organization_id, topic, dedupe_key, recipient, channel, payload, created_at, available_at, attempts, last_error)
    SELECT gen_random_uuid(), (p ->> 'organization_id')::uuid, e.topic, e.key, '', '', e.payload, clock_timestamp(), clock_timestamp(), 0, ''
      FROM jsonb_to_recordset(p -> 'events') AS e(topic text, key text, payload jsonb) ORDER BY e.topic, e.key
    ON CONFLICT DO NOTHING RETURNING 1)
  SELECT count(*)::int FROM told;
$$;
