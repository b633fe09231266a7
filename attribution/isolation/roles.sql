-- The database roles of SECURITY 1.2 that an owner with CREATEROLE can make.
-- Where it cannot (a single role for everything), nothing is created and the policies of the
-- one-role deployment apply. Run by InstallRoles; idempotent.
DO $$
DECLARE
  name text;
BEGIN
  IF NOT (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
    RETURN;
  END IF;
  FOREACH name IN ARRAY ARRAY['tollkeeper_app', 'tollkeeper_gateway'] LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS', name);
    END IF;
  END LOOP;
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tollkeeper_ledger') THEN
    CREATE ROLE tollkeeper_ledger NOLOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
  GRANT tollkeeper_ledger TO CURRENT_USER;
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
