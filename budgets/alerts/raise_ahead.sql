-- Records the thresholds on forecasts and burn rates that periods have reached:
-- {"organization_id", "periods": [id], "burns": [{"period_id", "hours", "spent"}]} -> number of new alerts.
-- A forecast counts by its row in `forecast` and only while that is up to date; a burn rate is what was
-- spent in N hours / (limit x N / hours of the period). One alert per period, basis, unit, threshold,
-- quantile, hours and arm for ever, whoever evaluates beside, and one notification owed for each.
-- Takes no lock: an arm raised meanwhile is another arm, whose alerts come with the next evaluation.
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION budgets_raise_ahead(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  org uuid := (p ->> 'organization_id')::uuid; c record; made uuid; raised int := 0;
BEGIN
  IF org <> NULLIF(current_setting('app.organization_id', true), '')::uuid THEN
    RAISE EXCEPTION 'another organization is being served' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('app.ledger', 'on', true);
  FOR c IN
    SELECT b.id AS period_id, b.arm, b.limit_amount, b.spent + b.uncertain AS actual, t.basis, t.unit, t.value, t.quantile,
           t.hours, m.forecast, m.factor, m.through_on
      FROM budget_period b
      JOIN threshold t ON t.organization_id = org AND t.budget_id = b.budget_id AND t.basis <> 'actual'
     CROSS JOIN LATERAL (
       SELECT CASE t.quantile WHEN 'p10' THEN f.p10 WHEN 'p90' THEN f.p90 ELSE f.p50 END AS forecast, NULL::numeric AS factor, f.through_on
         FROM forecast f WHERE t.basis = 'forecast' AND f.organization_id = org AND f.budget_period_id = b.id AND f.status = 'ok'
       UNION ALL
       SELECT NULL, s.spent * (extract(epoch FROM b.ends_at - b.starts_at) / 3600) / (b.limit_amount * s.hours), NULL
         FROM jsonb_to_recordset(p -> 'burns') AS s(period_id bigint, hours int, spent numeric)
        WHERE t.basis = 'burn_rate' AND s.period_id = b.id AND s.hours = t.hours AND b.limit_amount > 0) m
     WHERE b.organization_id = org AND b.id = ANY (ARRAY(SELECT x::bigint FROM jsonb_array_elements_text(p -> 'periods') x))
       AND coalesce(m.forecast, m.factor) > 0
       AND CASE t.unit WHEN 'percent' THEN m.forecast * 100 >= b.limit_amount * t.value
                       WHEN 'usd' THEN m.forecast >= t.value ELSE m.factor >= t.value END
       AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.organization_id = org AND a.budget_period_id = b.id AND a.basis = t.basis
                        AND a.unit = t.unit AND a.threshold = t.value AND a.quantile = t.quantile
                        AND a.hours IS NOT DISTINCT FROM t.hours AND a.arm = b.arm)
     ORDER BY b.id, t.basis, t.unit, t.value, t.quantile, t.hours
  LOOP
    INSERT INTO alert (id, organization_id, budget_period_id, basis, unit, threshold, quantile, hours, arm, limit_at, actual_at,
                       forecast, burn_factor, data_through_on, crossed_at)
      VALUES (gen_random_uuid(), org, c.period_id, c.basis, c.unit, c.value, c.quantile, c.hours, c.arm, c.limit_amount, c.actual,
              c.forecast, round(c.factor, 12), c.through_on, clock_timestamp())
      ON CONFLICT DO NOTHING RETURNING id INTO made;
    IF made IS NOT NULL THEN
      raised := raised + 1;
      INSERT INTO notification (id, organization_id, topic, dedupe_key, recipient, channel, payload, created_at, available_at, attempts, last_error)
        VALUES (gen_random_uuid(), org, 'budget.threshold', made::text, '', '', jsonb_build_object('alert_id', made),
                clock_timestamp(), clock_timestamp(), 0, '')
        ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;
  PERFORM set_config('app.ledger', '', true);
  RETURN raised;
END $$;
