"""An organization whose books are in breach admits no calls until somebody has looked."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("attribution", "0003_functions")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="admissions_stopped_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
