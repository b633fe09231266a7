"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("gateway", "0002_isolation"), ("budgets", "0003_functions")]

    operations = [
        InstallSQL("gateway/keys/lookup.sql", "155633c7c074a46a"),
        InstallSQL("gateway/routes/catalog.sql", "90333b5908b76a50"),
        InstallSQL("gateway/upstreams/secret.sql", "09b2c044e56d8a15"),
        InstallSQL("gateway/workers/beat.sql", "c7666d7db3b41938"),
        InstallSQL("gateway/workers/v1_workers.sql", "cddb24a69fb55482"),
        InstallSQL("gateway/proxy/bridge/attempt.sql", "d7fb6653de4971b6"),
    ]
