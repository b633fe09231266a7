-- When keys were presented: [{organization_id, id, at_ms}] -> how many were noted. Kept to the minute: a key
-- noted less than 55 s before is left as it is, so several gateways write it once. Waits for nobody: a row
-- that somebody holds is noted next time.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION gateway_used(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  noted int;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  UPDATE api_key k SET last_used_at = u.at
    FROM (SELECT y.id, y.organization_id, x.at FROM api_key y
            JOIN (SELECT r.id, r.organization_id, max(least(to_timestamp(r.at_ms / 1000.0), clock_timestamp())) AS at
                    FROM jsonb_to_recordset(p) AS r(organization_id uuid, id uuid, at_ms bigint) GROUP BY 1, 2) x
              ON x.id = y.id AND x.organization_id = y.organization_id
           WHERE y.last_used_at IS NULL OR y.last_used_at < x.at - interval '55 s'
             FOR UPDATE OF y SKIP LOCKED) u
   WHERE k.id = u.id AND k.organization_id = u.organization_id;
  GET DIAGNOSTICS noted = ROW_COUNT;
  PERFORM set_config('app.ledger', '', true);
  RETURN noted;
END $$;
