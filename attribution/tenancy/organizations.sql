-- The ids of all active organizations, for workers that visit each in its own transaction.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION attribution_organizations(p jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  RETURN QUERY SELECT o.id FROM organization o WHERE o.is_active ORDER BY o.id;
  PERFORM set_config('app.ledger', '', true);
END $$;
