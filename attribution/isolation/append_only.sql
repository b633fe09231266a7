-- Refuses whatever would change or remove a row of an append-only table. Invariant I9.
CREATE OR REPLACE FUNCTION attribution_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '55000';
END $$;
