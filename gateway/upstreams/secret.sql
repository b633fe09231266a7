-- The sealed credential of one upstream: {"organization_id", "upstream_id"} -> {sealed (hex), version, base_url}.
-- Ciphertext only; a gateway holds the key that opens it.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION gateway_secret(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT jsonb_build_object('sealed', encode(u.credential_sealed, 'hex'), 'version', u.credential_version, 'base_url', u.base_url)
    INTO answer FROM upstream u
   WHERE u.organization_id = (p ->> 'organization_id')::uuid AND u.id = (p ->> 'upstream_id')::uuid AND u.is_active AND u.archived_at IS NULL;
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
