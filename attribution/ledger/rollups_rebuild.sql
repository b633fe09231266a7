-- Deletes and recomputes rollups from the ledger: {"organization_id"?} -> number of entries folded. Of
-- all organizations, or of one, which is how a changed time zone reaches its days and months. The result
-- equals what advancing left, exactly. Takes the fold's lock, waiting for it.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION attribution_rollups_rebuild(p jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; hi xid8; folded bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('attribution_rollups', 7));
  PERFORM set_config('app.ledger', 'on', true);
  SELECT w.xid INTO hi FROM rollup_watermark w WHERE w.id = 1;    -- of one organization: as far as the others
  IF org IS NULL THEN
    hi := pg_snapshot_xmin(pg_current_snapshot());    -- may lie before the watermark: ids begin anew after a restore
    INSERT INTO rollup_watermark (id, xid, advanced_at) VALUES (1, hi, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET xid = excluded.xid, advanced_at = excluded.advanced_at;
  END IF;
  DELETE FROM latency_rollup r WHERE org IS NULL OR r.organization_id = org;
  DELETE FROM rollup r WHERE org IS NULL OR r.organization_id = org;
  UPDATE rollup_zone z SET time_zone = o.time_zone FROM organization o
   WHERE o.id = z.organization_id AND (org IS NULL OR o.id = org);
  folded := attribution_rollups_fold('0'::xid8, hi, org);
  PERFORM set_config('app.ledger', '', true);
  RETURN folded;
END $$;
