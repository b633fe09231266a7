"""Roles, row policies, composite keys and grants of the package's tables."""

from django.db import migrations

from attribution.isolation.operations import (
    AppendOnly,
    GlobalTable,
    InstallRoles,
    InstallSQL,
    LedgerOnly,
    SharedTable,
    TenantTable,
)


class Migration(migrations.Migration):
    dependencies = [("attribution", "0001_initial"), ("sessions", "0001_initial"), ("contenttypes", "0002_remove_content_type_name")]

    operations = [
        InstallRoles(),
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS btree_gist", migrations.RunSQL.noop),
        InstallSQL("attribution/isolation/uuid7_ms.sql", "382d5784257b5351"),
        InstallSQL("attribution/isolation/uuid7_floor.sql", "2db7d2a58bac7cdd"),
        InstallSQL("attribution/isolation/uuid7_at.sql", "5ba0288440a60501"),
        InstallSQL("attribution/isolation/append_only.sql", "abec782cffd0510e"),
        InstallSQL("attribution/isolation/ledger_only.sql", "5955dab67fcebcaa"),
        GlobalTable("tollkeeper_user", app="SELECT, INSERT, UPDATE, DELETE"),
        GlobalTable("tollkeeper_user_groups", app="SELECT, INSERT, UPDATE, DELETE"),
        GlobalTable("tollkeeper_user_user_permissions", app="SELECT, INSERT, UPDATE, DELETE"),
        GlobalTable("auth_group", app="SELECT"),
        GlobalTable("auth_group_permissions", app="SELECT"),
        GlobalTable("auth_permission", app="SELECT"),
        GlobalTable("django_content_type", app="SELECT"),
        GlobalTable("django_session", app="SELECT, INSERT, UPDATE, DELETE"),
        GlobalTable("django_migrations", app="SELECT"),
        GlobalTable("rollup_watermark", app="SELECT", ledger="SELECT, INSERT, UPDATE"),
        TenantTable("organization", ledger="SELECT"),
        TenantTable("department", references={"parent_id": "department"}, ledger="SELECT"),
        TenantTable("cost_center", references={"department_id": "department"}, ledger="SELECT"),
        TenantTable("membership", references={"department_id": "department"}, ledger="SELECT"),
        TenantTable("block", app="SELECT, INSERT, UPDATE", ledger="SELECT"),
        TenantTable("approval_request", app="SELECT, INSERT, UPDATE (decision, decided_by_id, decided_at, note)"),
        TenantTable("audit_entry", app="SELECT, INSERT"),
        TenantTable("audit_seal", app="SELECT, INSERT"),
        AppendOnly("audit_entry"),
        AppendOnly("audit_seal"),
        SharedTable("price"),
        TenantTable("price_decision", app="SELECT, INSERT, UPDATE"),
        TenantTable("accounting_period", app="SELECT, INSERT, UPDATE", ledger="SELECT"),
        TenantTable("prompt_fingerprint"),
        TenantTable("usage_record", app="SELECT", ledger="SELECT, INSERT, UPDATE, DELETE", is_hot=True),
        TenantTable("attempt", app="SELECT", ledger="SELECT, INSERT, DELETE", is_hot=True),
        TenantTable("ledger_entry", app="SELECT", ledger="SELECT, INSERT", is_hot=True),
        TenantTable("rollup", app="SELECT", ledger="SELECT, INSERT, UPDATE, DELETE"),
        TenantTable("latency_rollup", app="SELECT", ledger="SELECT, INSERT, UPDATE, DELETE"),
        TenantTable("rollup_zone", app="SELECT", ledger="SELECT, INSERT, UPDATE"),
        TenantTable("anomaly", references={"cost_center_id": "cost_center"}, app="SELECT, INSERT, UPDATE"),
        AppendOnly("ledger_entry"),
        LedgerOnly("usage_record"),
        LedgerOnly("attempt"),
        LedgerOnly("rollup"),
        LedgerOnly("latency_rollup"),
        migrations.RunSQL(
            "ALTER TABLE usage_record ADD CONSTRAINT usage_record_id_is_its_time"
            " CHECK (uuid7_ms(id) = floor(extract(epoch FROM occurred_at) * 1000))",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE price ADD CONSTRAINT price_one_at_a_time EXCLUDE USING gist ("
            " coalesce(organization_id, '00000000-0000-0000-0000-000000000000') WITH =,"
            " provider WITH =, model WITH =, tstzrange(effective_from, effective_to) WITH &&)"
            " WHERE (status = 'approved')",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "ALTER TABLE anomaly ADD CONSTRAINT anomaly_told_once EXCLUDE USING gist ("
            " organization_id WITH =, coalesce(cost_center_id, '00000000-0000-0000-0000-000000000000') WITH =,"
            " model WITH =, granularity WITH =,"
            " coalesce(api_key_id, '00000000-0000-0000-0000-000000000000') WITH =,"
            " tstzrange(starts_at, ends_at) WITH &&)",
            migrations.RunSQL.noop,
        ),
    ]
