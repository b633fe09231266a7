-- All a gateway needs to serve one organization: {"organization_id"} -> {epoch, organization, cost_centers,
-- budgets with their last, current and next periods, routes, upstreams, rate limits, what the kill switch stops, [model, wire format] of calls that passed their bound, downgrade rules whose
-- budgets are passed by their percentage (spent + uncertain, as thresholds count), prices of its own, price_revision}.
-- {"prices": true} -> {price_revision, prices}: the shared list in force. Reads only; instants are
-- milliseconds since 1970, amounts text.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION gateway_catalog(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; revision text; prices jsonb; answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT coalesce(max(r.id), 0) || '.' || count(r.effective_to) INTO revision FROM price r WHERE r.organization_id IS NULL;
  SELECT coalesce(jsonb_agg(jsonb_build_object('version', r.id, 'provider', r.provider, 'model', r.model, 'match', r.match,
           'rates', r.rates, 'currency', r.currency, 'context_window', r.context_window, 'max_output_tokens', r.max_output_tokens,
           'from_ms', floor(extract(epoch FROM r.effective_from) * 1000)::bigint,
           'to_ms', floor(extract(epoch FROM r.effective_to) * 1000)::bigint) ORDER BY r.id), '[]') INTO prices
    FROM price r
   WHERE r.organization_id IS NOT DISTINCT FROM org AND r.status = 'approved'
     AND (r.effective_to IS NULL OR r.effective_to > now() - interval '1 hour');
  IF org IS NULL THEN
    answer := jsonb_build_object('price_revision', revision, 'prices', prices);
  ELSE
    SELECT jsonb_build_object('epoch', o.policy_epoch, 'price_revision', revision, 'prices', prices,
      'organization', jsonb_build_object('id', o.id, 'slug', o.slug, 'time_zone', o.time_zone, 'is_active', o.is_active,
        'unknown_cost_center', o.unknown_cost_center, 'default_cost_center_id', o.default_cost_center_id,
        'fiscal_start_month', o.fiscal_start_month, 'anomaly_call_usd', o.anomaly_call_usd::text,
        'fail_open_when_db_down', o.fail_open_when_db_down),
      'cost_centers', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'code', c.code, 'is_active', c.is_active,
                 'department_id', c.department_id, 'departments', (
                   WITH RECURSIVE up AS (
                     SELECT d.id, d.parent_id FROM department d WHERE d.id = c.department_id AND d.organization_id = org
                     UNION SELECT d.id, d.parent_id FROM department d JOIN up ON d.id = up.parent_id WHERE d.organization_id = org)
                   SELECT coalesce(jsonb_agg(up.id), '[]') FROM up))), '[]')
          FROM cost_center c WHERE c.organization_id = org),
      'budgets', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'scope', b.scope, 'scope_id', b.scope_id,
                 'scope_value', b.scope_value, 'filters', b.filters, 'period', b.period, 'calendar', b.calendar,
                 'time_zone', coalesce(nullif(b.time_zone, ''), o.time_zone), 'enforcement', b.enforcement,
                 'wait_ms', b.wait_ms, 'is_clamped', b.is_clamped, 'periods', (
                   SELECT coalesce(jsonb_agg(jsonb_build_object('id', q.id,
                            'starts_ms', floor(extract(epoch FROM q.starts_at) * 1000)::bigint,
                            'ends_ms', floor(extract(epoch FROM q.ends_at) * 1000)::bigint) ORDER BY q.starts_at), '[]')
                     FROM budget_period q WHERE q.organization_id = org AND q.budget_id = b.id
                      AND q.starts_at < now() + interval '3 days'
                      AND q.starts_at >= least(now() - interval '1 minute', (
                            SELECT max(z.starts_at) FROM budget_period z WHERE z.organization_id = org AND z.budget_id = b.id
                               AND z.starts_at <= now() - interval '1 minute'))))), '[]')
          FROM budget b WHERE b.organization_id = org AND b.archived_at IS NULL),
      'routes', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'targets', (
                 SELECT coalesce(jsonb_agg(jsonb_build_object('upstream_id', t.upstream_id, 'provider_model', t.provider_model,
                          'position', t.position, 'weight', t.weight) ORDER BY t.position, t.id), '[]')
                   FROM route_target t JOIN upstream u ON u.organization_id = org AND u.id = t.upstream_id AND u.is_active AND u.archived_at IS NULL
                  WHERE t.organization_id = org AND t.route_id = r.id)) ORDER BY r.name), '[]')
          FROM route r WHERE r.organization_id = org AND r.is_active),
      'upstreams', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', u.id, 'name', u.name, 'kind', u.kind, 'base_url', u.base_url,
                 'provider', u.provider, 'price_multiplier', ((100 - u.discount_percent) * (100 + u.markup_percent) * 0.0001)::text, 'is_cost_reported', u.is_cost_reported,
                 'is_error_unbilled', u.is_error_unbilled, 'connect_timeout_s', u.connect_timeout_s,
                 'idle_timeout_s', u.idle_timeout_s, 'total_timeout_s', u.total_timeout_s,
                 'credential_version', u.credential_version)), '[]')
          FROM upstream u WHERE u.organization_id = org AND u.is_active AND u.archived_at IS NULL),
      'limits', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('cost_center_id', l.cost_center_id, 'requests_per_minute', l.requests_per_minute,
                 'tokens_per_minute', l.tokens_per_minute, 'concurrent_streams', l.concurrent_streams)), '[]')
          FROM rate_limit l WHERE l.organization_id = org),
      'blocks', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('kind', x.kind, 'target_id', x.target_id, 'name', x.target_name, 'is_cut', x.is_cut)), '[]')
          FROM block x WHERE x.organization_id = org AND x.lifted_at IS NULL),
      'breaches', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(x.model, x.wire_format)), '[]')
          FROM bound_breach x WHERE x.organization_id = org AND x.cleared_at IS NULL),
      'rules', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('budget_id', d.budget_id, 'models', d.asked_models, 'to_model', d.to_model,
                 'cost_centers', d.cost_centers, 'features', d.features,
                 'until_ms', floor(extract(epoch FROM q.ends_at) * 1000)::bigint) ORDER BY d.position, d.percent DESC, d.name), '[]')
          FROM downgrade_rule d
          JOIN budget b ON b.organization_id = org AND b.id = d.budget_id AND b.archived_at IS NULL
          JOIN budget_period q ON q.organization_id = org AND q.budget_id = b.id AND q.starts_at <= now() AND q.ends_at > now()
         WHERE d.organization_id = org AND d.is_active AND q.spent + q.uncertain > 0
           AND (q.spent + q.uncertain) * 100 >= q.limit_amount * d.percent)) INTO answer
      FROM organization o WHERE o.id = org;
  END IF;
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
