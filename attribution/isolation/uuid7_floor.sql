-- The smallest UUIDv7 of an instant: a bound for partitions and for ranges of ids.
-- execute: app, gateway, ledger, platform
CREATE OR REPLACE FUNCTION uuid7_floor(ts timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN rpad(lpad(to_hex(floor(extract(epoch FROM ts) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
