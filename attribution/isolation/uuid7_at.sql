-- A new UUIDv7 of an instant, its lower bits random.
-- execute: app, gateway, ledger, platform
CREATE OR REPLACE FUNCTION uuid7_at(ts timestamptz) RETURNS uuid
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
RETURN (lpad(to_hex(floor(extract(epoch FROM ts) * 1000)::bigint), 12, '0') || '7'
        || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;
