"""Calls made elsewhere: the names they were reported under, and the function that records them."""

import attribution.isolation.transaction
import django.db.models.deletion
from django.db import migrations, models

from attribution.isolation.operations import InstallSQL, TenantTable


class Migration(migrations.Migration):
    dependencies = [("budgets", "0003_functions")]

    operations = [
        migrations.CreateModel(
            name="IngestedEvent",
            fields=[
                ("pk", models.CompositePrimaryKey("organization", "source", "event_id", blank=True, editable=False, primary_key=True, serialize=False)),
                ("source", models.TextField()),
                ("event_id", models.TextField()),
                ("usage_id", models.UUIDField()),
                ("created_at", models.DateTimeField()),
                ("organization", models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="attribution.organization")),
            ],
            options={"db_table": "ingested_event", "abstract": False, "base_manager_name": "objects"},
        ),
        TenantTable("ingested_event", app="SELECT", ledger="SELECT, INSERT", is_hot=True),
        InstallSQL("attribution/ledger/record.sql", "f2a3ac5dae2ee51a"),
        InstallSQL("budgets/reservations/ingest.sql", "e71beac1ea3deb85"),
    ]
