"""Tasks take ids, find their work in the database, and may come twice."""

import pytest
from django.core import mail

from attribution import tasks as attribution_tasks
from attribution.audit.models import AuditSeal
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from budgets import tasks
from config.celery import app
from gateway import tasks as gateway_tasks
from tests.factories import make_budget, make_call, make_member, make_organization

pytestmark = pytest.mark.usefixtures("committed")


def test_every_task_of_the_timetable_exists() -> None:
    app.loader.import_default_modules()

    assert {row["task"] for row in app.conf.beat_schedule.values()} <= app.tasks.keys()


def test_a_task_that_comes_twice_does_its_work_once() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        make_member(role=Role.OWNER)
        make_budget(limit="1", thresholds=["80"])
        make_call(cost="0.9")
    work = (
        tasks.deliver_notifications_of,
        tasks.open_periods_of,
        tasks.evaluate_budgets_of,
        tasks.verify_books_of,
        tasks.prove_books_of,
        attribution_tasks.seal_audit_of,
    )

    for task in (*work, *work):
        task(str(organization.pk))
    for everywhere in (attribution_tasks.advance_rollups, attribution_tasks.make_partitions):
        everywhere()
        everywhere()
    gateway_tasks.sweep()

    assert len(mail.outbox) == 1
    with tenant(organization.pk):
        assert AuditSeal.objects.count() == 1
