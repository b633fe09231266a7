-- Milliseconds since 1970 in a UUIDv7.
-- execute: app, gateway, ledger, platform
CREATE OR REPLACE FUNCTION uuid7_ms(id uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint;
