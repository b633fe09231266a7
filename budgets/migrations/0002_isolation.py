"""Row policies, composite keys and grants of the package's tables."""

from django.db import migrations

from attribution.isolation.operations import LedgerOnly, TenantTable


class Migration(migrations.Migration):
    dependencies = [("budgets", "0001_initial"), ("attribution", "0002_isolation")]

    operations = [
        TenantTable("budget", ledger="SELECT"),
        TenantTable("limit_version", references={"budget_id": "budget"}, app="SELECT, INSERT", ledger="SELECT"),
        TenantTable("budget_override", references={"budget_id": "budget"}, app="SELECT, INSERT, UPDATE", ledger="SELECT"),
        TenantTable("threshold", references={"budget_id": "budget"}, ledger="SELECT"),
        TenantTable("budget_plan", app="SELECT, INSERT, UPDATE (applied_by_id, applied_at)"),
        TenantTable("budget_period", references={"budget_id": "budget"}, app="SELECT", ledger="SELECT, INSERT, UPDATE"),
        TenantTable("alert", references={"budget_period_id": "budget_period"}, app="SELECT", ledger="SELECT, INSERT"),
        TenantTable("forecast", references={"budget_period_id": "budget_period"}, ledger="SELECT"),
        TenantTable("channel", references={"department_id": "department"}, app="SELECT, INSERT, UPDATE"),
        TenantTable(
            "notification", references={"place_id": "channel", "resends_id": "notification"}, ledger="SELECT, INSERT"
        ),
        TenantTable("subscription", app="SELECT, INSERT, UPDATE"),
        TenantTable("acknowledgement", app="SELECT, INSERT"),
        TenantTable("bound_breach", app="SELECT, UPDATE", ledger="SELECT, INSERT"),
        TenantTable("rerating", app="SELECT, INSERT, UPDATE"),
        TenantTable("reservation", app="SELECT", ledger="SELECT, INSERT, UPDATE, DELETE", is_hot=True),
        TenantTable("idempotency", app="SELECT", ledger="SELECT, INSERT, DELETE", is_hot=True),
        LedgerOnly("budget_period"),
        LedgerOnly("reservation"),
        LedgerOnly("alert"),
        migrations.RunSQL(
            "ALTER TABLE budget_period SET (fillfactor = 50);"
            "ALTER TABLE budget_period ADD CONSTRAINT budget_period_do_not_overlap EXCLUDE USING gist ("
            " organization_id WITH =, budget_id WITH =, tstzrange(starts_at, ends_at) WITH &&)",
            migrations.RunSQL.noop,
        ),
    ]
