-- Whether a call counts in budgets of these filters: {"models": [..], "providers": [..], "features": [..],
-- "environments": [..]}, each optional, all given must match exactly. `models` are the names of the call's
-- target: its route and what the provider was asked for. NULL filters match every call; a NULL provider or
-- NULL models are not known yet, and may match. The twin of budgets.limits.filters.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_matches(filters jsonb, provider text, models text[], feature text, environment text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT filters IS NULL
      OR coalesce(NOT filters ? 'providers' OR filters -> 'providers' ? provider, true)
     AND coalesce(NOT filters ? 'models' OR filters -> 'models' ?| models, true)
     AND (NOT filters ? 'features' OR filters -> 'features' ? coalesce(feature, ''))
     AND (NOT filters ? 'environments' OR filters -> 'environments' ? coalesce(environment, ''));
$$;
