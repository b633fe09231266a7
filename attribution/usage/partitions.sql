-- Creates the partitions of every partitioned table for months [from, from + months) in UTC.
-- {"from": date, "months": int} -> number of partitions created. Each new partition gets row
-- security, FORCE and the policies of its parent, and no grants: it is reached through the parent
-- only. Runs as the owner of the tables, hence the dynamic SQL; its only inputs are a date and an
-- integer. Idempotent.
-- execute: app
CREATE OR REPLACE FUNCTION attribution_partitions(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  first date := date_trunc('month', (p ->> 'from')::date)::date;
  parent record; policy record; month date; name text; made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('attribution_partitions', 7));
  FOR parent IN SELECT c.oid, c.relname FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid
                 WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname LOOP
    FOR i IN 0 .. (p ->> 'months')::int - 1 LOOP
      month := (first + make_interval(months => i))::date;
      name := parent.relname || '_' || to_char(month, 'YYYYMM');
      CONTINUE WHEN to_regclass('public.' || quote_ident(name)) IS NOT NULL;
      EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)', name, parent.relname,
        uuid7_floor(month::timestamp AT TIME ZONE 'UTC'),
        uuid7_floor((month + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
      EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
      FOR policy IN SELECT * FROM pg_policies WHERE schemaname = 'public' AND tablename = parent.relname LOOP
        EXECUTE format('CREATE POLICY %I ON public.%I TO %s USING (%s) WITH CHECK (%s)', policy.policyname, name,
          (SELECT string_agg(CASE r WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(r) END, ', ') FROM unnest(policy.roles) r),
          policy.qual, policy.with_check);
      END LOOP;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
