-- What the gateway must know of a key: {"kid"} -> [{id, key_id, organization_id, epoch, digest (hex),
-- pepper_version, ...}]. `id` is the key's lineage: calls, budgets and limits go on when its secret is
-- replaced; `key_id` is the row; `block` is what blocks the key or the whole organization, null for nothing. Several rows only if two organizations drew the same kid: the digest decides. Revoked and expired
-- keys are returned with their state; the caller refuses them.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION gateway_lookup(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT coalesce(jsonb_agg(jsonb_build_object(
           'id', coalesce(k.lineage_id, k.id), 'key_id', k.id, 'organization_id', k.organization_id, 'epoch', o.policy_epoch, 'name', k.name,
           'digest', encode(k.secret_hash, 'hex'), 'pepper_version', k.pepper_version,
           'is_active', o.is_active AND k.revoked_at IS NULL,
           'expires_ms', floor(extract(epoch FROM k.expires_at) * 1000)::bigint,
           'used_ms', floor(extract(epoch FROM k.last_used_at) * 1000)::bigint,
           'cost_center_id', k.cost_center_id, 'is_cost_center_pinned', k.is_cost_center_pinned,
           'allowed_cost_centers', k.allowed_cost_centers, 'user_name', k.user_name, 'is_user_pinned', k.is_user_pinned,
           'allowed_models', k.allowed_models, 'scopes', k.scopes, 'enrich', k.enrich,
           'is_amount_hidden', k.is_amount_hidden, 'max_output_tokens', k.max_output_tokens,
           'requests_per_minute', k.requests_per_minute, 'tokens_per_minute', k.tokens_per_minute,
           'concurrent_streams', k.concurrent_streams,
           'block', (SELECT jsonb_build_object('kind', b.kind, 'name', b.target_name) FROM block b
                      WHERE b.organization_id = o.id AND b.lifted_at IS NULL
                        AND (b.kind = 'organization' OR b.kind = 'api_key' AND b.target_id = coalesce(k.lineage_id, k.id))
                      ORDER BY b.kind DESC LIMIT 1))), '[]') INTO answer
    FROM api_key k JOIN organization o ON o.id = k.organization_id WHERE k.kid = p ->> 'kid';
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
