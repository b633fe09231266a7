-- Creates the partitions of every partitioned table for months [from, from + months) in UTC, 120 at most.
-- {"from": date, "months": int} -> number of partitions created. Each new partition gets row
-- security, FORCE, the policies and the statement triggers of its parent, and no grants: it is reached
-- through the parent only. It is made apart and then attached, which waits for nobody: calls go on
-- being admitted and settled. Runs as the owner of the tables, hence the dynamic SQL; its only inputs
-- are a date and an integer. Idempotent.
-- execute: app
CREATE OR REPLACE FUNCTION attribution_partitions(p jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  first date := date_trunc('month', (p ->> 'from')::date)::date;
  parent record; policy record; fence record; month date; name text; made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('attribution_partitions', 7));
  FOR parent IN SELECT c.oid, c.relname FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid
                 WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname LOOP
    FOR i IN 0 .. least((p ->> 'months')::int, 120) - 1 LOOP
      month := (first + make_interval(months => i))::date;
      name := parent.relname || '_' || to_char(month, 'YYYYMM');
      CONTINUE WHEN to_regclass('public.' || quote_ident(name)) IS NOT NULL;
      EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name, parent.relname);
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
      EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
      FOR policy IN SELECT * FROM pg_policies WHERE schemaname = 'public' AND tablename = parent.relname LOOP
        EXECUTE format('CREATE POLICY %I ON public.%I TO %s USING (%s) WITH CHECK (%s)', policy.policyname, name,
          (SELECT string_agg(CASE r WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(r) END, ', ') FROM unnest(policy.roles) r),
          policy.qual, policy.with_check);
      END LOOP;
      FOR fence IN SELECT t.tgname, t.tgfoid::regproc::text AS calls FROM pg_trigger t
                    WHERE t.tgrelid = parent.oid AND NOT t.tgisinternal AND t.tgtype = 34 LOOP  -- BEFORE TRUNCATE, by statement
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION %s()', fence.tgname, name, fence.calls);
      END LOOP;
      EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent.relname, name,
        uuid7_floor(month::timestamp AT TIME ZONE 'UTC'),
        uuid7_floor((month + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
