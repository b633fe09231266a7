"""Functions and views of the package."""

from django.db import migrations

from attribution.isolation.operations import InstallSQL


class Migration(migrations.Migration):
    dependencies = [("gateway", "0002_isolation"), ("budgets", "0003_functions")]

    operations = [
        InstallSQL("gateway/keys/lookup.sql", "4aed0f3a6f6a53ac"),
        InstallSQL("gateway/keys/used.sql", "f4be9f8d087664d7"),
        InstallSQL("gateway/routes/catalog.sql", "af42f8d56b13a4aa"),
        InstallSQL("gateway/upstreams/secret.sql", "b69d8b81ce93b77c"),
        InstallSQL("gateway/upstreams/probe.sql", "25cf900e5b9ef5f4"),
        InstallSQL("gateway/workers/beat.sql", "c7666d7db3b41938"),
        InstallSQL("gateway/workers/v1_workers.sql", "cddb24a69fb55482"),
        InstallSQL("gateway/proxy/bridge/attempt.sql", "88cac8154b01450e"),
    ]
