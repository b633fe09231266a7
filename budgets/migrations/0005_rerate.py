"""Re-rating of settled calls."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0004_ingested_event")]

    operations = [
        InstallSQL("budgets/reservations/rerate.sql", "3ed488f9a3733583"),
    ]
