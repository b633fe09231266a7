"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_isolation"), ("attribution", "0003_functions")]

    operations = [
        InstallSQL("budgets/alerts/raise.sql", "d27fbd09e1c5d38c"),
        InstallSQL("budgets/limits/backfill.sql", "ab5c5c04ee957473"),
        InstallSQL("budgets/limits/period.sql", "2a767f5ccd45df33"),
        InstallSQL("budgets/limits/relimit.sql", "5a519621486c1ed8"),
        InstallSQL("budgets/limits/v1_periods.sql", "7c8e6f376176414d"),
        InstallSQL("budgets/alerts/v1_alerts.sql", "ef13d0b1cebb3c30"),
        InstallSQL("budgets/reservations/stale.sql", "6528ba89c25f6943"),
        InstallSQL("budgets/reservations/admit.sql", "716a167542dea0d8"),
        InstallSQL("budgets/reservations/resolve.sql", "385973452f4c4aa2"),
        InstallSQL("budgets/reservations/settle.sql", "d692b8ef1611ccf5"),
        InstallSQL("budgets/reservations/expire.sql", "2eaa0e7989bd72b2"),
        InstallSQL("budgets/reservations/v1_calls.sql", "4690bf2177827d47"),
    ]
