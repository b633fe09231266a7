-- Notes failed tries of calls: [{organization_id, usage_id, n, upstream_id, sent_ms, status, error_code,
-- provider_request_id}]. Idempotent by (usage_id, n). A try of no call of that organization is not noted.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION gateway_attempt(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  noted int;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  INSERT INTO attempt (usage_id, n, organization_id, upstream_id, sent_at, status, error_code, provider_request_id)
  SELECT x.usage_id, x.n, x.organization_id, x.upstream_id, to_timestamp(x.sent_ms / 1000.0), x.status,
         coalesce(x.error_code, ''), coalesce(x.provider_request_id, '')
    FROM jsonb_to_recordset(p) AS x(usage_id uuid, n smallint, organization_id uuid, upstream_id uuid, sent_ms bigint,
         status int, error_code text, provider_request_id text)
   WHERE EXISTS (SELECT 1 FROM usage_record u WHERE u.id = x.usage_id AND u.organization_id = x.organization_id)
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS noted = ROW_COUNT;
  PERFORM set_config('app.ledger', '', true);
  RETURN noted;
END $$;
