-- A gateway takes and answers tests of upstreams: {"answers": [{organization_id, id, code, http_status, latency_ms,
-- model_count, quote}]} -> up to 4 tests that wait: [{organization_id, id, upstream_id, kind, base_url, version,
-- sealed (hex)}]. A test is taken by one gateway; not answered within 30 s it is taken again, older than a minute it
-- is left. "resting": [upstream ids] are those that this gateway leaves alone because they keep failing. Inactive upstreams are tested too: before they are switched on. Waits for nobody.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION gateway_probe(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  UPDATE upstream_probe t
     SET answered_at = clock_timestamp(), code = coalesce(left(x.code, 32), ''), http_status = x.http_status,
         latency_ms = x.latency_ms, model_count = x.model_count, quote = coalesce(left(x.quote, 200), '')
    FROM jsonb_to_recordset(p -> 'answers') AS x(organization_id uuid, id uuid, code text, http_status int, latency_ms int,
         model_count int, quote text)
   WHERE t.id = x.id AND t.organization_id = x.organization_id AND t.answered_at IS NULL;
  UPDATE upstream u SET rested_at = clock_timestamp()
   WHERE u.id IN (SELECT r.id FROM upstream r JOIN jsonb_array_elements_text(p -> 'resting') AS x(id) ON r.id = x.id::uuid
                     FOR UPDATE OF r SKIP LOCKED);
  WITH taken AS (
    UPDATE upstream_probe t SET taken_at = clock_timestamp()
     WHERE t.id IN (
       SELECT w.id FROM upstream_probe w
        WHERE w.answered_at IS NULL AND w.asked_at > clock_timestamp() - interval '60 s'
          AND (w.taken_at IS NULL OR w.taken_at < clock_timestamp() - interval '30 s')
        ORDER BY w.asked_at LIMIT 4 FOR UPDATE SKIP LOCKED)
    RETURNING t.id, t.organization_id, t.upstream_id)
  SELECT coalesce(jsonb_agg(jsonb_build_object('organization_id', t.organization_id, 'id', t.id, 'upstream_id', u.id,
           'kind', u.kind, 'base_url', u.base_url, 'version', u.credential_version,
           'sealed', encode(u.credential_sealed, 'hex'))), '[]') INTO answer
    FROM taken t JOIN upstream u ON u.organization_id = t.organization_id AND u.id = t.upstream_id;
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
