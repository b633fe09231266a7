-- A gateway process says that it lives: {"id", "role", "host", "version", "is_draining"} ->
-- {"now_ms": the database's clock, "live": [ids with a beat in the last 15 s]}. Every 5 s.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION gateway_beat(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  IF p ? 'id' THEN
    INSERT INTO gateway_worker (id, role, host, version, started_at, beat_at, is_draining)
    VALUES ((p ->> 'id')::uuid, p ->> 'role', p ->> 'host', p ->> 'version', clock_timestamp(), clock_timestamp(),
            coalesce((p ->> 'is_draining')::boolean, false))
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, is_draining = excluded.is_draining;
  END IF;
  SELECT jsonb_build_object('now_ms', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
           'live', coalesce(jsonb_agg(w.id) FILTER (WHERE w.beat_at > clock_timestamp() - interval '15 s'), '[]')) INTO answer
    FROM gateway_worker w WHERE w.beat_at > clock_timestamp() - interval '1 day';
  RETURN answer;
END $$;
