"""Rate limits of cost centers and organizations, and rules that lead to cheaper models."""

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import attribution.isolation.scoped
import attribution.isolation.transaction
from attribution.isolation.operations import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("attribution", "0001_initial"),
        ("budgets", "0002_isolation"),
        ("gateway", "0003_functions"),
    ]

    operations = [
        migrations.CreateModel(
            name='DowngradeRule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=64, verbose_name='name')),
                ('percent', models.DecimalField(decimal_places=2, default=Decimal('80'), help_text='Spent and uncertain amounts of the running period count.', max_digits=7, validators=[django.core.validators.MinValueValidator(Decimal('0.01'))], verbose_name='from (percent of the limit)')),
                ('asked_models', models.JSONField(default=list, help_text='Names or patterns, for example gpt-*.', verbose_name='models asked for')),
                ('cost_centers', models.JSONField(blank=True, default=list, help_text='Codes; empty: all.', verbose_name='cost centers')),
                ('features', models.JSONField(blank=True, default=list, help_text='As programs name them; empty: all.', verbose_name='features')),
                ('to_model', models.CharField(help_text='The name of a route.', max_length=128, verbose_name='model used instead')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='The first rule that fits decides.', verbose_name='order')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('budget', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, help_text='Only calls that it covers are sent elsewhere.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='budgets.budget', verbose_name='budget')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'downgrade rule',
                'verbose_name_plural': 'downgrade rules',
                'db_table': 'downgrade_rule',
                'ordering': ['position'],
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'name'), name='downgrade_rule_name_key')],
            },
        ),
        migrations.CreateModel(
            name='RateLimit',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='requests per minute')),
                ('tokens_per_minute', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='tokens per minute')),
                ('concurrent_streams', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='concurrent streams')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('cost_center', attribution.isolation.scoped.TenantForeignKey(blank=True, db_constraint=False, help_text='All calls that are booked there. Empty: all calls of the organization.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.costcenter', verbose_name='cost center')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'rate limit',
                'verbose_name_plural': 'rate limits',
                'db_table': 'rate_limit',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'cost_center'), name='rate_limit_key', nulls_distinct=False)],
            },
        ),
        TenantTable("rate_limit", references={"cost_center_id": "cost_center"}, ledger="SELECT"),
        TenantTable("downgrade_rule", references={"budget_id": "budget"}, ledger="SELECT"),
    ]
