"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("attribution", "0002_isolation")]

    operations = [
        InstallSQL("attribution/tenancy/memberships.sql", "9c17852998dc402f"),
        InstallSQL("attribution/tenancy/organizations.sql", "eb368d0861f0d5d2"),
        InstallSQL("attribution/usage/partitions.sql", "143e4de0235fa4ab"),
        InstallSQL("attribution/usage/open.sql", "871f4b70193c90be"),
        InstallSQL("attribution/ledger/post.sql", "447cb0e7cc54cffe"),
        InstallSQL("attribution/ledger/rollups_fold.sql", "76e0aa1040e623b1"),
        InstallSQL("attribution/ledger/rollups.sql", "91ac0f730716cf02"),
        InstallSQL("attribution/ledger/rollups_rebuild.sql", "6e549ea1ab80e89d"),
        InstallSQL("attribution/ledger/v1_ledger.sql", "3f963770361575b3"),
        InstallSQL("attribution/audit/v1_audit.sql", "c483bc396689357b"),
    ]
