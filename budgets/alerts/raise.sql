-- Records the thresholds on actual spend (spent + uncertain) that periods have reached: one alert
-- per period, basis, unit, threshold and arm for ever, and one notification owed for each.
-- Called in the transaction that moved the periods, whose rows the caller has locked. Forecasts and
-- burn rates are raised by budgets_raise_ahead.
-- owner: ledger
CREATE OR REPLACE FUNCTION budgets_raise(periods bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  c record; made uuid;
BEGIN
  FOR c IN
    SELECT b.organization_id, b.id AS period_id, b.arm, b.limit_amount, b.spent + b.uncertain AS actual, t.basis, t.unit, t.value
      FROM budget_period b JOIN threshold t ON t.organization_id = b.organization_id AND t.budget_id = b.budget_id
     WHERE b.id = ANY (periods) AND t.basis = 'actual' AND b.spent + b.uncertain > 0
       AND CASE t.unit WHEN 'percent' THEN (b.spent + b.uncertain) * 100 >= b.limit_amount * t.value
                       ELSE b.spent + b.uncertain >= t.value END
       AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.organization_id = b.organization_id AND a.budget_period_id = b.id
                        AND a.basis = t.basis AND a.unit = t.unit AND a.threshold = t.value AND a.arm = b.arm)
     ORDER BY b.id, t.basis, t.unit, t.value
  LOOP
    INSERT INTO alert (id, organization_id, budget_period_id, basis, unit, threshold, quantile, arm, limit_at, actual_at, crossed_at)
      VALUES (gen_random_uuid(), c.organization_id, c.period_id, c.basis, c.unit, c.value, 'p50', c.arm, c.limit_amount, c.actual, clock_timestamp())
      ON CONFLICT DO NOTHING RETURNING id INTO made;
    IF made IS NOT NULL THEN
      INSERT INTO notification (id, organization_id, topic, dedupe_key, recipient, channel, payload, created_at, available_at, attempts, last_error)
        VALUES (gen_random_uuid(), c.organization_id, 'budget.threshold', made::text, '', '',
                jsonb_build_object('alert_id', made), clock_timestamp(), clock_timestamp(), 0, '')
        ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;
END $$;
