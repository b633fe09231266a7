"""The tables of the package."""

import attribution.isolation.scoped
import attribution.isolation.transaction
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('attribution', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GatewayWorker',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('role', models.TextField()),
                ('host', models.TextField()),
                ('version', models.TextField()),
                ('started_at', models.DateTimeField()),
                ('beat_at', models.DateTimeField()),
                ('is_draining', models.BooleanField(default=False)),
            ],
            options={
                'db_table': 'gateway_worker',
            },
        ),
        migrations.CreateModel(
            name='Route',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(help_text='What clients ask for; * matches any part.', max_length=128, verbose_name='model')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'route',
                'verbose_name_plural': 'routes',
                'db_table': 'route',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Upstream',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=64, verbose_name='name')),
                ('kind', models.CharField(choices=[('openai', 'OpenAI'), ('anthropic', 'Anthropic'), ('gemini', 'Gemini'), ('deepseek', 'DeepSeek'), ('azure_openai', 'Azure OpenAI'), ('openrouter', 'OpenRouter'), ('openai_compatible', 'OpenAI-compatible'), ('demo', 'demo (answers offline)')], max_length=32, verbose_name='kind')),
                ('base_url', models.CharField(blank=True, default='', max_length=256, verbose_name='address')),
                ('provider', models.CharField(blank=True, default='', max_length=64, verbose_name='provider in the price list')),
                ('discount_percent', models.DecimalField(decimal_places=4, default=Decimal('0'), help_text='What the provider takes off its list, for example 12.5.', max_digits=7, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)], verbose_name='discount (%)')),
                ('markup_percent', models.DecimalField(decimal_places=4, default=Decimal('0'), help_text='What is added after the discount, for example 5.', max_digits=8, validators=[django.core.validators.MinValueValidator(0)], verbose_name='markup (%)')),
                ('is_cost_reported', models.BooleanField(default=False, help_text='The cost stated in its answers wins over the price list.', verbose_name='charges what it reports')),
                ('is_error_unbilled', models.BooleanField(default=False, help_text="An error answer without usage releases the call's hold.", verbose_name='errors are not billed')),
                ('connect_timeout_s', models.PositiveSmallIntegerField(default=5, verbose_name='connect within (s)')),
                ('idle_timeout_s', models.PositiveSmallIntegerField(default=60, verbose_name='silence at most (s)')),
                ('total_timeout_s', models.PositiveIntegerField(default=600, verbose_name='answer within (s)')),
                ('credential_sealed', models.BinaryField(null=True)),
                ('credential_hint', models.CharField(blank=True, default='', editable=False, max_length=8)),
                ('credential_fingerprint', models.CharField(blank=True, default='', editable=False, max_length=16)),
                ('credential_version', models.PositiveIntegerField(default=0, editable=False)),
                ('credential_set_at', models.DateTimeField(editable=False, null=True)),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('archived_at', models.DateTimeField(editable=False, null=True)),
                ('rested_at', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'upstream',
                'verbose_name_plural': 'upstreams',
                'db_table': 'upstream',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='UpstreamProbe',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('taken_at', models.DateTimeField(null=True)),
                ('answered_at', models.DateTimeField(null=True)),
                ('code', models.CharField(blank=True, default='', max_length=32)),
                ('http_status', models.PositiveSmallIntegerField(null=True)),
                ('latency_ms', models.PositiveIntegerField(null=True)),
                ('model_count', models.PositiveIntegerField(null=True)),
                ('quote', models.CharField(blank=True, default='', max_length=200)),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
                ('upstream', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='probes', to='gateway.upstream')),
            ],
            options={
                'db_table': 'upstream_probe',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'upstream'), name='upstream_probe_key')],
                'indexes': [models.Index(condition=models.Q(('answered_at__isnull', True)), fields=['asked_at'], name='upstream_probe_waiting')],
            },
        ),
        migrations.CreateModel(
            name='RouteTarget',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('provider_model', models.CharField(blank=True, default='', help_text='Empty: the name the client asked for.', max_length=128, verbose_name="provider's model")),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='order')),
                ('weight', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1)], verbose_name='weight')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
                ('route', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='targets', to='gateway.route')),
                ('upstream', attribution.isolation.scoped.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='targets', to='gateway.upstream', verbose_name='upstream')),
            ],
            options={
                'verbose_name': 'target',
                'verbose_name_plural': 'targets',
                'db_table': 'route_target',
                'ordering': ['position'],
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('lineage_id', models.UUIDField(editable=False, null=True)),
                ('name', models.CharField(max_length=64, verbose_name='name')),
                ('kid', models.CharField(db_index=True, editable=False, max_length=12, verbose_name='key id')),
                ('secret_hash', models.BinaryField()),
                ('pepper_version', models.PositiveSmallIntegerField(default=1, editable=False)),
                ('is_cost_center_pinned', models.BooleanField(default=False, verbose_name='cost center cannot be overridden')),
                ('allowed_cost_centers', models.JSONField(blank=True, default=list, help_text='Codes; empty: all.', verbose_name='allowed cost centers')),
                ('user_name', models.CharField(blank=True, default='', max_length=128, verbose_name='user')),
                ('is_user_pinned', models.BooleanField(default=False, verbose_name='user cannot be overridden')),
                ('allowed_models', models.JSONField(blank=True, default=list, help_text='Names or patterns; empty: all.', verbose_name='allowed models')),
                ('scopes', models.JSONField(blank=True, default=list, help_text='None chosen: everything.', verbose_name='what it may do')),
                ('enrich', models.CharField(choices=[('full', "in the answer's usage and in headers"), ('headers', 'in headers only; the body passes unchanged')], default='full', max_length=8, verbose_name='cost of a call is shown')),
                ('is_amount_hidden', models.BooleanField(default=False, verbose_name='hide budget amounts in refusals')),
                ('max_output_tokens', models.PositiveIntegerField(blank=True, null=True, verbose_name='most output tokens')),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, help_text='By all gateways together, in any 60 seconds. Empty: no limit.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='requests per minute')),
                ('tokens_per_minute', models.PositiveIntegerField(blank=True, help_text='Input and output. Empty: no limit.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='tokens per minute')),
                ('concurrent_streams', models.PositiveIntegerField(blank=True, default=1000, help_text='Streamed answers under way at a time. Empty: no limit.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='concurrent streams')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires')),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='revoked')),
                ('last_used_at', models.DateTimeField(editable=False, null=True, verbose_name='last used')),
                ('notes', models.CharField(blank=True, default='', max_length=500, verbose_name='notes')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('cost_center', attribution.isolation.scoped.TenantForeignKey(blank=True, db_constraint=False, help_text="Where calls are booked that name none. Empty: the organization's default.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.costcenter', verbose_name='cost center')),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, default=attribution.isolation.transaction.current, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='attribution.organization')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'db_table': 'api_key',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'kid'), name='api_key_kid_key')],
            },
        ),
        migrations.AddConstraint(
            model_name='route',
            constraint=models.UniqueConstraint(fields=('organization', 'name'), name='route_name_key'),
        ),
        migrations.AddConstraint(
            model_name='upstream',
            constraint=models.UniqueConstraint(fields=('organization', 'name'), name='upstream_name_key'),
        ),
        migrations.AddConstraint(
            model_name='routetarget',
            constraint=models.UniqueConstraint(fields=('organization', 'route', 'upstream', 'provider_model'), name='route_target_key'),
        ),
    ]
