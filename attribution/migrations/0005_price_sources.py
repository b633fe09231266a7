"""A shared price keeps what each list says of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("attribution", "0004_admissions_stopped")]

    operations = [
        migrations.AddField(
            model_name="price",
            name="sources",
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
    ]
