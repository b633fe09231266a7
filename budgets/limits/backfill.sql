-- Counts the calls of a new period's window into it: reservations, held, uncertain and spent.
-- A call counts where its target matches the budget's filters; an open one may still go to another
-- target, so it is held wherever its feature and environment match. Open calls are locked in id order before they are counted, so that one settling meanwhile is
-- counted either as open, and then finds its reservation, or as settled.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_backfill(period bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  q budget_period; b budget; lo uuid; hi uuid; below uuid[];
BEGIN
  SELECT * INTO q FROM budget_period WHERE id = period;
  SELECT * INTO b FROM budget WHERE id = q.budget_id;
  lo := uuid7_floor(q.starts_at); hi := uuid7_floor(q.ends_at);
  WITH RECURSIVE tree AS (
    SELECT d.id FROM department d WHERE d.id = b.scope_id AND d.organization_id = q.organization_id
    UNION SELECT d.id FROM department d JOIN tree t ON d.parent_id = t.id WHERE d.organization_id = q.organization_id)
  SELECT array_agg(t.id) INTO below FROM tree t;
  PERFORM 1 FROM usage_record u WHERE u.id >= lo AND u.id < hi AND u.organization_id = q.organization_id
     AND u.state IN ('held', 'uncertain') ORDER BY u.id FOR NO KEY UPDATE;
  INSERT INTO reservation (usage_id, budget_period_id, organization_id, amount)
    SELECT u.id, q.id, u.organization_id, u.hold_amount FROM usage_record u
     WHERE u.id >= lo AND u.id < hi AND u.organization_id = q.organization_id
       AND u.state IN ('held', 'settled', 'uncertain')
       AND CASE b.scope WHEN 'organization' THEN true
                        WHEN 'department' THEN u.department_id = ANY (below)
                        WHEN 'cost_center' THEN u.cost_center_id = b.scope_id
                        WHEN 'api_key' THEN u.api_key_id = b.scope_id
                        ELSE u.user_id = b.scope_value END
       AND budgets_matches(q.filters, CASE WHEN u.state <> 'held' THEN u.provider END,
                           CASE WHEN u.state <> 'held' THEN ARRAY[u.route, u.provider_model] END, u.feature, u.environment);
  UPDATE budget_period t SET held = s.held, uncertain = s.uncertain, spent = s.spent
    FROM (SELECT coalesce(sum(u.hold_amount) FILTER (WHERE u.state = 'held'), 0) AS held,
                 coalesce(sum(u.hold_amount) FILTER (WHERE u.state = 'uncertain'), 0) AS uncertain,
                 coalesce(sum(u.cost) FILTER (WHERE u.state = 'settled'), 0) AS spent
            FROM reservation h JOIN usage_record u ON u.id = h.usage_id AND u.id >= lo AND u.id < hi
           WHERE h.budget_period_id = q.id) s
   WHERE t.id = q.id;
  PERFORM budgets_raise(ARRAY[q.id]);
END $$;
