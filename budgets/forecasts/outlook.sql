-- What is known of budgets' future in their periods that hold an instant: {"organization_id", "at_ms",
-- "budgets": [uuid]} -> [{id, state, forecast: {status, method, p10, p50, p90, data_through, exhausted_on}}], amounts
-- in USD as text. A budget that nobody evaluated yet is left out. Reads only: as of the last evaluation, which
-- comes every minute; one older than 10 minutes is stale. The twin of budgets.forecasts.outlooks.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_outlook(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid;
  at timestamptz := to_timestamp((p ->> 'at_ms')::numeric / 1000);
  answer jsonb;
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', q.budget_id, 'state', f.state, 'forecast', jsonb_build_object(
           'status', CASE WHEN f.status = 'ok' AND f.computed_at < at - interval '10 minutes' THEN 'stale' ELSE f.status END,
           'method', nullif(f.method, ''), 'p10', f.p10::text, 'p50', f.p50::text, 'p90', f.p90::text,
           'data_through', f.through_on, 'exhausted_on', f.exhausted_on))), '[]') INTO answer
    FROM budget_period q
    JOIN forecast f ON f.organization_id = org AND f.budget_period_id = q.id
   WHERE q.organization_id = org AND q.starts_at <= at AND q.ends_at > at
     AND q.budget_id = ANY (ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(p -> 'budgets') x));
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
