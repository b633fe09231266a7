-- Works out a period's limit at an instant: (period, at) -> (base, carried, raised, amount, until).
-- amount = base (the limit version in force; an estimate never is) + carried, at least 0, + raised (the
-- approved, unrevoked overrides that run). Before the period begins the figures are those of its first
-- instant, after its end those of its last; its base then stays as it was. carried, by the
-- period's rollover: base + carried of the period before, within the fiscal year (year_starts_at), minus all that
-- period is charged with, open holds included, so that money is never given twice; what overrides
-- added to it covers its overspend and is never carried itself; at most the cap, in percent of the base or
-- in USD. Nothing is carried before a period begins. `until`: the next instant at which the answer can be
-- another one, NULL: none. A rollover is looked at anew each second (after a day each ten, after the
-- end each ten minutes for 40 days) for the period before may still receive postings. Reads only.
-- owner: ledger
-- execute: gateway, app, platform, backup
CREATE OR REPLACE FUNCTION budgets_reckon(period bigint, at timestamptz,
  OUT base numeric, OUT carried numeric, OUT raised numeric, OUT amount numeric, OUT until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  q budget_period; r budget_period; t timestamptz; next_base timestamptz; next_override timestamptz;
  has_ended boolean; remains numeric; granted numeric;
  closing CONSTANT interval := '6 s';                -- a call is admitted until it is 5 seconds old
BEGIN
  SELECT * INTO q FROM budget_period x WHERE x.id = period;
  has_ended := q.ends_at <= at;
  t := least(greatest(at, q.starts_at), q.ends_at - interval '1 microsecond');
  base := q.base_amount; carried := 0;
  IF NOT has_ended THEN
    -- a version set from now on counts though the setter's clock may be ahead; a planned one from its day
    SELECT v.amount INTO base FROM limit_version v,
           LATERAL (SELECT v.effective_at <= t OR v.effective_at <= v.created_at + interval '1 minute' AS is_on) f
     WHERE v.organization_id = q.organization_id AND v.budget_id = q.budget_id AND v.kind <> 'estimate'
     ORDER BY f.is_on DESC, CASE WHEN f.is_on THEN greatest(v.effective_at, v.created_at) END DESC, v.effective_at LIMIT 1;
    SELECT min(v.effective_at) INTO next_base FROM limit_version v
     WHERE v.organization_id = q.organization_id AND v.budget_id = q.budget_id AND v.kind <> 'estimate'
       AND v.effective_at > t AND v.effective_at < q.ends_at AND v.effective_at > v.created_at + interval '1 minute';
  END IF;
  SELECT coalesce(sum(o.amount) FILTER (WHERE o.starts_at <= t AND o.ends_at > t), 0),
         least(min(o.starts_at) FILTER (WHERE o.starts_at > t), min(o.ends_at) FILTER (WHERE o.ends_at > t))
    INTO raised, next_override FROM budget_override o
   WHERE o.organization_id = q.organization_id AND o.budget_id = q.budget_id AND o.approved_at IS NOT NULL
     AND o.revoked_at IS NULL AND o.starts_at < q.ends_at AND o.ends_at > q.starts_at;
  until := least(next_base, next_override);
  IF until >= q.ends_at OR has_ended THEN
    until := NULL;
  END IF;
  IF q.carry IS NOT NULL AND q.year_starts_at IS NOT NULL AND at < q.starts_at THEN
    until := least(until, q.starts_at);
  ELSIF q.carry IS NOT NULL AND q.year_starts_at IS NOT NULL THEN
    SELECT * INTO r FROM budget_period x WHERE x.organization_id = q.organization_id AND x.budget_id = q.budget_id
       AND x.starts_at < q.starts_at AND x.starts_at >= q.year_starts_at ORDER BY x.starts_at DESC LIMIT 1;
    IF r.id IS NOT NULL THEN
      remains := r.base_amount + r.carried - r.spent - r.uncertain - r.held;
      IF remains > 0 AND at >= r.ends_at + closing THEN
        carried := least(remains, (q.carry ->> 'cap')::numeric * CASE q.carry ->> 'unit' WHEN 'percent' THEN base / 100 ELSE 1 END);
      ELSIF remains <= 0 AND q.carry ->> 'rollover' = 'carry_net' THEN
        SELECT coalesce(sum(o.amount), 0) INTO granted FROM budget_override o
         WHERE o.organization_id = q.organization_id AND o.budget_id = q.budget_id AND o.approved_at IS NOT NULL
           AND o.starts_at < r.ends_at AND least(o.ends_at, o.revoked_at) > greatest(o.starts_at, r.starts_at);
        carried := least(remains + granted, 0);
      END IF;
      IF r.sealed_at IS NULL AND (NOT has_ended OR at < q.ends_at + interval '40 days') THEN
        until := least(until, at + CASE WHEN has_ended THEN interval '10 minutes'
                                        WHEN r.held > 0 OR at < r.ends_at + interval '1 day' THEN interval '1 s'
                                        ELSE interval '10 s' END);
      END IF;
    END IF;
  END IF;
  carried := round(carried, 12);
  amount := greatest(base + carried, 0) + raised;
END $$;
