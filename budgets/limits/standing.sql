-- How budgets stand at an instant: {"organization_id", "at_ms", "budgets": [uuid]} -> [{id, is_hard, starts_ms, ends_ms,
-- limit, spent, held, uncertain}], amounts in USD as text, without archived and unlimited budgets. One whose
-- period nobody opened yet stands at its newest limit with nothing spent, and has no bounds. Reads only,
-- without a lock: by it nothing may be admitted.
-- owner: ledger
-- execute: gateway, app
CREATE OR REPLACE FUNCTION budgets_standing(p jsonb) RETURNS jsonb
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
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', b.id,
           'is_hard', coalesce(q.enforcement, b.enforcement) IN ('block', 'elastic'),
           'starts_ms', floor(extract(epoch FROM q.starts_at) * 1000)::bigint,
           'ends_ms', floor(extract(epoch FROM q.ends_at) * 1000)::bigint,
           'limit', coalesce(CASE WHEN q.limit_until <= at THEN (budgets_reckon(q.id, at)).amount ELSE q.limit_amount END, v.amount)::text, 'spent', coalesce(q.spent, 0)::text,
           'held', coalesce(q.held, 0)::text, 'uncertain', coalesce(q.uncertain, 0)::text)), '[]') INTO answer
    FROM budget b
    LEFT JOIN budget_period q ON q.organization_id = org AND q.budget_id = b.id AND q.starts_at <= at AND q.ends_at > at
    LEFT JOIN LATERAL (SELECT l.amount FROM limit_version l WHERE l.organization_id = org AND l.budget_id = b.id AND l.kind <> 'estimate'
                        ORDER BY l.created_at DESC LIMIT 1) v ON true
   WHERE b.organization_id = org AND b.archived_at IS NULL AND coalesce(q.limit_amount, v.amount) IS NOT NULL
     AND b.id = ANY (ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(p -> 'budgets') x));
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
