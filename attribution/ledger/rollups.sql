-- Folds ledger entries into the rollups of all organizations, up to the oldest transaction that may
-- still write: {} -> number of entries folded. Watermark over transaction ids, never over entry ids:
-- ids commit out of order and rows would be lost. One fold at a time (advisory lock); entries, rollups
-- and watermark move in one transaction, so a killed fold leaves nothing behind. Invariant I8.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION attribution_rollups_advance(p jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  lo xid8; hi xid8; folded bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('attribution_rollups', 7)) THEN
    RETURN 0;
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  SELECT w.xid INTO lo FROM rollup_watermark w WHERE w.id = 1;
  hi := greatest(pg_snapshot_xmin(pg_current_snapshot()), lo);    -- after the lock: it never goes back
  folded := attribution_rollups_fold(coalesce(lo, '0'::xid8), hi, NULL);
  INSERT INTO rollup_watermark (id, xid, advanced_at) VALUES (1, hi, clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET xid = excluded.xid, advanced_at = excluded.advanced_at;
  PERFORM set_config('app.ledger', '', true);
  RETURN folded;
END $$;
