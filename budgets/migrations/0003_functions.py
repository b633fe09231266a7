"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("budgets", "0002_isolation"), ("attribution", "0004_admissions_stopped")]

    operations = [
        InstallSQL("budgets/alerts/raise.sql", "cb1507eac9d5fb5f"),
        InstallSQL("budgets/limits/matches.sql", "44741aa466d20332"),
        InstallSQL("budgets/limits/reckon.sql", "db87c120a1149bd4"),
        InstallSQL("budgets/limits/follow.sql", "96a08ab324ab9ed8"),
        InstallSQL("budgets/alerts/raise_ahead.sql", "5d5deec4a4195f06"),
        InstallSQL("budgets/forecasts/outlook.sql", "e35bc6600d010f95"),
        InstallSQL("budgets/alerts/tell.sql", "ebdb5aa0ec3a82dd"),
        InstallSQL("budgets/limits/backfill.sql", "5c7d5ac595a239f6"),
        InstallSQL("budgets/limits/period.sql", "26081c981f6c22e9"),
        InstallSQL("budgets/limits/reshape.sql", "d3f9ce899b3cb2a8"),
        InstallSQL("budgets/limits/relimit.sql", "af92aee1f804df1c"),
        InstallSQL("budgets/limits/standing.sql", "2adfec89479132c8"),
        InstallSQL("budgets/limits/v1_periods.sql", "6a4cfe9099113dae"),
        InstallSQL("budgets/alerts/v1_alerts.sql", "d06cde01642b01bd"),
        InstallSQL("budgets/reservations/stale.sql", "2d6e5e8d2ed38754"),
        InstallSQL("budgets/reservations/admit.sql", "0b3c3a980a0bf343"),
        InstallSQL("budgets/reservations/resolve.sql", "70218590e99c0f39"),
        InstallSQL("budgets/reservations/extend.sql", "e838a2735adbc75f"),
        InstallSQL("budgets/reservations/settle.sql", "60c931bfa9a6031f"),
        InstallSQL("budgets/reservations/expire.sql", "fbd02b4e7a7e6be7"),
        InstallSQL("budgets/reservations/v1_calls.sql", "4690bf2177827d47"),
    ]
