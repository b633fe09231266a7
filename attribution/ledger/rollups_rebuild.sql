-- Deletes and recomputes all rollups from the ledger: {} -> number of entries folded. The result equals
-- what advancing left, exactly. Takes the fold's lock, waiting for it.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION attribution_rollups_rebuild(p jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hi xid8; folded bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('attribution_rollups', 7));
  PERFORM set_config('app.ledger', 'on', true);
  hi := pg_snapshot_xmin(pg_current_snapshot());
  DELETE FROM latency_rollup;
  DELETE FROM rollup;
  folded := attribution_rollups_fold('0'::xid8, hi, NULL);
  INSERT INTO rollup_watermark (id, xid, advanced_at) VALUES (1, hi, clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET xid = excluded.xid, advanced_at = excluded.advanced_at;
  PERFORM set_config('app.ledger', '', true);
  RETURN folded;
END $$;
