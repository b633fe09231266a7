"""The tables of the package."""

import attribution.isolation.scoped
import attribution.isolation.transaction
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from attribution.isolation.operations import CreatePartitionedModel


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('attribution', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=128, verbose_name='name')),
                ('scope', models.CharField(choices=[('organization', 'organization'), ('department', 'department'), ('cost_center', 'cost center'), ('api_key', 'API key'), ('user', 'user')], max_length=16, verbose_name='covers')),
                ('scope_id', models.UUIDField(blank=True, null=True, verbose_name='covered object')),
                ('scope_value', models.CharField(blank=True, default='', max_length=128, verbose_name='covered user')),
                ('filters', models.JSONField(blank=True, default=dict, verbose_name='only for')),
                ('period', models.CharField(choices=[('day', 'day'), ('week', 'week'), ('month', 'month'), ('quarter', 'quarter'), ('year', 'year'), ('custom', 'custom'), ('fiscal', 'fiscal period')], default='month', max_length=16, verbose_name='period')),
                ('calendar', models.JSONField(blank=True, default=dict)),
                ('time_zone', models.CharField(blank=True, default='', help_text="Empty: the organization's.", max_length=64, verbose_name='time zone')),
                ('enforcement', models.CharField(choices=[('observe', 'observe'), ('warn', 'warn'), ('block', 'block'), ('elastic', 'elastic')], default='warn', max_length=16, verbose_name='enforcement')),
                ('wait_ms', models.PositiveIntegerField(default=2000, help_text='How long a call waits when only open calls stand in its way.', verbose_name='wait for open calls (ms)')),
                ('is_clamped', models.BooleanField(default=False, help_text='Blocking budgets: a call gets a shorter answer before it is refused.', verbose_name='shorten answers to what is left')),
                ('archived_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'budget',
                'verbose_name_plural': 'budgets',
                'db_table': 'budget',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='BudgetPeriod',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('enforcement', models.CharField(choices=[('observe', 'observe'), ('warn', 'warn'), ('block', 'block'), ('elastic', 'elastic')], max_length=16)),
                ('hard', models.GeneratedField(db_persist=True, expression=models.Q(('enforcement__in', ['block', 'elastic'])), output_field=models.BooleanField())),
                ('starts_at', models.DateTimeField(verbose_name='starts')),
                ('ends_at', models.DateTimeField(verbose_name='ends')),
                ('limit_amount', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='limit')),
                ('arm', models.IntegerField(default=1)),
                ('spent', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='spent')),
                ('held', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='held')),
                ('uncertain', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='uncertain')),
                ('filters', models.JSONField(null=True)),
                ('sealed_at', models.DateTimeField(null=True)),
                ('budget', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='periods', to='budgets.budget')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'budget period',
                'verbose_name_plural': 'budget periods',
                'db_table': 'budget_period',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('basis', models.TextField(verbose_name='basis')),
                ('unit', models.TextField(verbose_name='unit')),
                ('threshold', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='threshold')),
                ('arm', models.IntegerField()),
                ('limit_at', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='limit then')),
                ('actual_at', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='actual then')),
                ('crossed_at', models.DateTimeField(verbose_name='crossed')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
                ('budget_period', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='budgets.budgetperiod')),
            ],
            options={
                'verbose_name': 'alert',
                'verbose_name_plural': 'alerts',
                'db_table': 'alert',
                'ordering': ['-crossed_at'],
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Idempotency',
            fields=[
                ('pk', models.CompositePrimaryKey('organization', 'api_key_id', 'idem_hash', blank=True, editable=False, primary_key=True, serialize=False)),
                ('api_key_id', models.UUIDField()),
                ('idem_hash', models.BinaryField()),
                ('usage_id', models.UUIDField()),
                ('body_fp', models.BinaryField()),
                ('created_at', models.DateTimeField()),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'db_table': 'idempotency',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='LimitVersion',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('amount', models.DecimalField(decimal_places=12, max_digits=24, validators=[django.core.validators.MinValueValidator(0)], verbose_name='limit (USD)')),
                ('effective_at', models.DateTimeField(verbose_name='from')),
                ('reason', models.CharField(blank=True, default='', max_length=256, verbose_name='reason')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('budget', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='limit_versions', to='budgets.budget')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
                ('set_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'limit version',
                'verbose_name_plural': 'limit versions',
                'db_table': 'limit_version',
                'ordering': ['-created_at'],
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('topic', models.CharField(max_length=64, verbose_name='topic')),
                ('dedupe_key', models.CharField(max_length=200)),
                ('recipient', models.CharField(blank=True, default='', max_length=254, verbose_name='to')),
                ('channel', models.CharField(blank=True, default='', max_length=16, verbose_name='channel')),
                ('payload', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='owed since')),
                ('available_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('claimed_until', models.DateTimeField(null=True)),
                ('attempts', models.IntegerField(default=0)),
                ('done_at', models.DateTimeField(null=True, verbose_name='delivered')),
                ('last_error', models.TextField(blank=True, default='', verbose_name='last error')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'notification',
                'verbose_name_plural': 'notifications',
                'db_table': 'notification',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        CreatePartitionedModel(
            name='Reservation',
            partition_by='usage_id',
            fields=[
                ('pk', models.CompositePrimaryKey('usage_id', 'budget_period_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('usage_id', models.UUIDField()),
                ('budget_period_id', models.BigIntegerField()),
                ('amount', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='amount')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'reservation',
                'verbose_name_plural': 'reservations',
                'db_table': 'reservation',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Threshold',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('basis', models.CharField(choices=[('actual', 'actual spend'), ('forecast', 'forecast')], default='actual', max_length=16, verbose_name='looks at')),
                ('unit', models.CharField(choices=[('percent', '% of the limit'), ('usd', 'USD')], default='percent', max_length=16, verbose_name='unit')),
                ('value', models.DecimalField(decimal_places=12, max_digits=24, validators=[django.core.validators.MinValueValidator(0)], verbose_name='value')),
                ('budget', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='thresholds', to='budgets.budget')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'threshold',
                'verbose_name_plural': 'thresholds',
                'db_table': 'threshold',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.UniqueConstraint(condition=models.Q(('archived_at', None)), fields=('organization', 'name'), name='budget_name_key'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('scope', 'organization'), ('scope_id', None), ('scope_value', '')), models.Q(('scope', 'user'), ('scope_id', None), models.Q(('scope_value', ''), _negated=True)), models.Q(('scope__in', ['department', 'cost_center', 'api_key']), ('scope_id__isnull', False), ('scope_value', '')), _connector='OR'), name='budget_scope_named'),
        ),
        migrations.AddConstraint(
            model_name='budgetperiod',
            constraint=models.UniqueConstraint(fields=('organization', 'budget', 'starts_at'), name='budget_period_key'),
        ),
        migrations.AddConstraint(
            model_name='budgetperiod',
            constraint=models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='budget_period_has_length'),
        ),
        migrations.AddConstraint(
            model_name='budgetperiod',
            constraint=models.CheckConstraint(condition=models.Q(('held__gte', 0), ('uncertain__gte', 0)), name='budget_period_counters_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(fields=('organization', 'budget_period', 'basis', 'unit', 'threshold', 'arm'), name='alert_once_key'),
        ),
        migrations.AddIndex(
            model_name='idempotency',
            index=models.Index(fields=['usage_id'], name='idempotency_call'),
        ),
        migrations.AddIndex(
            model_name='idempotency',
            index=models.Index(fields=['created_at'], name='idempotency_age'),
        ),
        migrations.AddConstraint(
            model_name='limitversion',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='limit_version_amount_not_negative'),
        ),
        migrations.AddIndex(
            model_name='notification',
            index=models.Index(condition=models.Q(('done_at', None)), fields=['available_at'], name='notification_owed'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.UniqueConstraint(fields=('organization', 'topic', 'dedupe_key'), name='notification_once_key'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(fields=['budget_period_id', 'usage_id'], name='reservation_period'),
        ),
        migrations.AddConstraint(
            model_name='threshold',
            constraint=models.UniqueConstraint(fields=('organization', 'budget', 'basis', 'unit', 'value'), name='threshold_key'),
        ),
        migrations.CreateModel(
            name='Rerating',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('starts_at', models.DateTimeField(verbose_name='from')),
                ('ends_at', models.DateTimeField(verbose_name='to')),
                ('provider', models.TextField(default='', verbose_name='provider')),
                ('model', models.TextField(default='', verbose_name='model')),
                ('is_unpriced_only', models.BooleanField(default=False)),
                ('reason', models.TextField(verbose_name='reason')),
                ('actor_id', models.UUIDField(null=True)),
                ('after_id', models.UUIDField(null=True)),
                ('calls', models.BigIntegerField(default=0, verbose_name='calls')),
                ('unpriced', models.BigIntegerField(default=0)),
                ('tokens', models.BigIntegerField(default=0, verbose_name='tokens')),
                ('was', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='old cost')),
                ('cost', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='new cost')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(null=True)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 're-rating',
                'verbose_name_plural': 're-ratings',
                'db_table': 'rerating',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('finished_at', None)), fields=['organization', 'created_at'], name='rerating_open')],
            },
        ),
        migrations.CreateModel(
            name='BoundBreach',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('model', models.TextField(verbose_name='model')),
                ('wire_format', models.TextField(verbose_name='wire format')),
                ('usage_id', models.UUIDField(verbose_name='call')),
                ('hold', models.DecimalField(decimal_places=12, max_digits=24, verbose_name='held')),
                ('cost', models.DecimalField(decimal_places=12, max_digits=24, null=True, verbose_name='cost')),
                ('found_at', models.DateTimeField(verbose_name='found')),
                ('cleared_at', models.DateTimeField(null=True, verbose_name='cleared')),
                ('cleared_by_id', models.UUIDField(null=True)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'breached bound',
                'verbose_name_plural': 'breached bounds',
                'db_table': 'bound_breach',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('cleared_at', None)), fields=('organization', 'model', 'wire_format'), name='bound_breach_open')],
            },
        ),
        migrations.CreateModel(
            name='BudgetPlan',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('import', 'file'), ('copy', 'copy of the last period')], max_length=16, verbose_name='kind')),
                ('source', models.CharField(blank=True, default='', max_length=200, verbose_name='file')),
                ('reason', models.CharField(blank=True, default='', max_length=200, verbose_name='reason')),
                ('steps', models.JSONField()),
                ('state_digest', models.CharField(max_length=64)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('applied_at', models.DateTimeField(null=True)),
                ('applied_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'budget plan',
                'verbose_name_plural': 'budget plans',
                'db_table': 'budget_plan',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('applied_at', None), ('applied_by', None)), models.Q(('applied_at__isnull', False), ('applied_by__isnull', False)), _connector='OR'), name='budget_plan_applied_whole')],
            },
        ),
    ]
