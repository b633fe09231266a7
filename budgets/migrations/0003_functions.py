"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_isolation"), ("attribution", "0004_admissions_stopped")]

    operations = [
        InstallSQL("budgets/alerts/raise.sql", "d27fbd09e1c5d38c"),
        InstallSQL("budgets/limits/backfill.sql", "10d2e598b3e0ebf3"),
        InstallSQL("budgets/limits/period.sql", "a311798eef7f85c4"),
        InstallSQL("budgets/limits/relimit.sql", "26d1a422aa6a8dd4"),
        InstallSQL("budgets/limits/standing.sql", "2768a97a9dc32ab6"),
        InstallSQL("budgets/limits/v1_periods.sql", "7c8e6f376176414d"),
        InstallSQL("budgets/alerts/v1_alerts.sql", "ef13d0b1cebb3c30"),
        InstallSQL("budgets/reservations/stale.sql", "5c69a6244482704d"),
        InstallSQL("budgets/reservations/admit.sql", "dcdd9a3c911dd09b"),
        InstallSQL("budgets/reservations/resolve.sql", "8e80ecdc125cc7a6"),
        InstallSQL("budgets/reservations/settle.sql", "14cc6ada4f2c4534"),
        InstallSQL("budgets/reservations/expire.sql", "740928b315a47259"),
        InstallSQL("budgets/reservations/v1_calls.sql", "4690bf2177827d47"),
    ]
