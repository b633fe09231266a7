#!/bin/sh
# Database roles, once, as superuser: what a compromised process may do ends with its role.
# Migrations grant the rights; these roles only have to exist. Also usable by hand with psql's PG* variables.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" \
  -v gateway="$GATEWAY_PASSWORD" -v platform="$PLATFORM_PASSWORD" <<'SQL'
CREATE ROLE tollkeeper_owner LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE tollkeeper_platform LOGIN NOSUPERUSER BYPASSRLS PASSWORD :'platform';
CREATE ROLE tollkeeper_backup NOLOGIN NOSUPERUSER BYPASSRLS;
GRANT pg_read_all_data TO tollkeeper_backup;
CREATE DATABASE tollkeeper OWNER tollkeeper_owner;
\connect tollkeeper
-- Made by their administrator to be, so that the owner may hand the functions over to them.
SET ROLE tollkeeper_owner;
CREATE ROLE tollkeeper_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app';
CREATE ROLE tollkeeper_gateway LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'gateway';
SQL
