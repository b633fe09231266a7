"""Row policies, composite keys and grants of the package's tables."""

from django.db import migrations

from attribution.isolation.operations import GlobalTable, TenantTable


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial"), ("attribution", "0002_isolation")]

    operations = [
        GlobalTable("gateway_worker", app="SELECT", ledger="SELECT, INSERT, UPDATE, DELETE"),
        TenantTable("upstream", ledger="SELECT, UPDATE (rested_at)"),
        TenantTable("upstream_probe", references={"upstream_id": "upstream"}, ledger="SELECT, UPDATE"),
        TenantTable("route", ledger="SELECT"),
        TenantTable("route_target", references={"route_id": "route", "upstream_id": "upstream"}, ledger="SELECT"),
        TenantTable("api_key", references={"cost_center_id": "cost_center"}, ledger="SELECT, UPDATE (last_used_at)"),
    ]
