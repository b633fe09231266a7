"""Evaluators at the same moment tell an anomaly once: by the lock, and should it fail, by the database."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import IntegrityError, OperationalError, connections
from django.utils import timezone

from attribution.insights import detection
from attribution.insights.models import Anomaly
from attribution.isolation.transaction import tenant
from tests.attribution.insights.days import Days

EVALUATORS = 6


def one_jump() -> Days:
    """Return an organization with a day to be found."""
    days = Days()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40")
    days.record()
    return days


def at_once(work: Callable[[], int]) -> list[int]:
    """Run the same work in several threads from the same moment on."""
    start = Barrier(EVALUATORS)

    def run(_number: int) -> int:
        start.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(EVALUATORS) as pool:
        return list(pool.map(run, range(EVALUATORS)))


def judge(days: Days) -> int:
    """Judge in a transaction of one's own."""
    with tenant(days.organization.pk):
        return detection.judge_days(at=timezone.now())


def test_evaluators_at_once_write_one_row(committed: None) -> None:
    days = one_jump()

    changed = at_once(lambda: judge(days))

    found = days.anomalies()
    assert [row.impact for row in days.by_day()] == [160]
    assert sorted(changed) == [*[0] * (EVALUATORS - 1), len(found)]


def test_without_the_lock_the_database_refuses_the_second_row(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "_lock", lambda: None)
    days = one_jump()

    def judge_or_lose() -> int:
        try:
            return judge(days)
        except OperationalError:  # two waited for each other's rows: PostgreSQL let one go on
            return 0

    at_once(judge_or_lose)

    assert [row.impact for row in days.by_day()] == [160]


def test_a_second_evaluator_waits_for_the_first(committed: None) -> None:
    days = Days()
    days.every_day(21, "40")
    days.spend(0, "40")  # nothing to find: no row that anybody could wait for
    days.record()
    is_done = Event()

    def second() -> None:
        judge(days)
        is_done.set()
        connections.close_all()

    thread = threading.Thread(target=second)
    with tenant(days.organization.pk):
        detection.judge_days(at=timezone.now())
        thread.start()
        assert not is_done.wait(2)  # without the lock it would long be done
    thread.join(30)

    assert is_done.is_set()


def test_the_database_refuses_two_rows_about_the_same_hours(committed: None) -> None:
    days = one_jump()
    days.look()
    (found,) = days.by_day()

    with (
        pytest.raises(IntegrityError, match="anomaly_told_once"),
        tenant(days.organization.pk),
    ):
        Anomaly.objects.create(
            cost_center=found.cost_center,
            model=found.model,
            starts_at=found.starts_at + timedelta(hours=1),
            ends_at=found.ends_at + timedelta(hours=1),
            expected=1,
            actual=2,
            impact=1,
        )


def test_figures_that_do_not_add_up_are_refused(committed: None) -> None:
    days = one_jump()
    days.look()

    with (
        pytest.raises(IntegrityError, match="anomaly_impact_is_difference"),
        tenant(days.organization.pk),
    ):
        Anomaly.objects.update(impact=1)
