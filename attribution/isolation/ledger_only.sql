-- One-role deployments: money rows change only inside the money functions, which switch
-- app.ledger on. With separate roles, grants say the same and this trigger is not installed.
CREATE OR REPLACE FUNCTION attribution_ledger_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF current_setting('app.ledger', true) IS DISTINCT FROM 'on' THEN
    RAISE EXCEPTION '% changes only through the ledger''s functions', TG_TABLE_NAME
      USING ERRCODE = '42501';
  END IF;
  RETURN coalesce(NEW, OLD);
END $$;
