-- What hard budget periods have left: {"organization_id", "periods": [bigint]} -> [{budget_id, room, firm}];
-- room is limit - spent - uncertain - held, firm the same without what open calls hold, both as text.
-- Reads only, without a lock: by it an answer is shortened, and then the admission decides.
-- owner: ledger
-- execute: gateway
CREATE OR REPLACE FUNCTION gateway_room(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT coalesce(jsonb_agg(jsonb_build_object('budget_id', q.budget_id,
           'room', (q.limit_amount - q.spent - q.uncertain - q.held)::text,
           'firm', (q.limit_amount - q.spent - q.uncertain)::text)), '[]') INTO answer
    FROM budget_period q
   WHERE q.id = ANY (ARRAY(SELECT x::bigint FROM jsonb_array_elements_text(p -> 'periods') x))
     AND q.organization_id = (p ->> 'organization_id')::uuid AND q.hard;
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
