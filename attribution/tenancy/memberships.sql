-- The organizations one person may enter: {"user_id"} -> [{organization_id, slug, name, role}].
-- The only way to see memberships outside a tenant transaction (sign-in, organization switch).
-- owner: ledger
-- execute: app
CREATE OR REPLACE FUNCTION attribution_memberships(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  answer jsonb;
BEGIN
  PERFORM set_config('app.ledger', 'on', true);
  SELECT coalesce(jsonb_agg(jsonb_build_object('organization_id', o.id, 'slug', o.slug,
           'name', o.name, 'role', m.role) ORDER BY o.name), '[]') INTO answer
    FROM membership m JOIN organization o ON o.id = m.organization_id
   WHERE m.user_id = (p ->> 'user_id')::uuid AND m.is_active AND o.is_active;
  PERFORM set_config('app.ledger', '', true);
  RETURN answer;
END $$;
