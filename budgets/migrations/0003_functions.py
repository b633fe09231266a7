"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_isolation"), ("attribution", "0004_admissions_stopped")]

    operations = [
        InstallSQL("budgets/alerts/raise.sql", "cb1507eac9d5fb5f"),
        InstallSQL("budgets/limits/backfill.sql", "10d2e598b3e0ebf3"),
        InstallSQL("budgets/limits/period.sql", "1650d545e41be10b"),
        InstallSQL("budgets/limits/relimit.sql", "3be492522791bcf2"),
        InstallSQL("budgets/limits/standing.sql", "4c77fc3aa14cc557"),
        InstallSQL("budgets/limits/v1_periods.sql", "7c8e6f376176414d"),
        InstallSQL("budgets/alerts/v1_alerts.sql", "ef13d0b1cebb3c30"),
        InstallSQL("budgets/reservations/stale.sql", "2d6e5e8d2ed38754"),
        InstallSQL("budgets/reservations/admit.sql", "5cfa2f700c0b8cd8"),
        InstallSQL("budgets/reservations/resolve.sql", "9dc680d1dbaf2002"),
        InstallSQL("budgets/reservations/settle.sql", "60c931bfa9a6031f"),
        InstallSQL("budgets/reservations/expire.sql", "fbd02b4e7a7e6be7"),
        InstallSQL("budgets/reservations/v1_calls.sql", "4690bf2177827d47"),
    ]
