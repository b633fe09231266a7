"""The timetable: every task in it exists, and only one beat sends."""

import os
from collections.abc import Iterator

import pytest

from config.celery import OneBeat, app


@pytest.fixture
def beats() -> Iterator[tuple[OneBeat, OneBeat]]:
    both = OneBeat(app=app, lazy=True), OneBeat(app=app, lazy=True)
    yield both
    for beat in both:
        beat.close()


def test_every_task_of_the_timetable_is_registered() -> None:
    app.loader.import_default_modules()

    missing = {entry["task"] for entry in app.conf.beat_schedule.values()} - set(app.tasks)

    assert not missing


def test_pokes_do_not_pile_up_without_a_worker() -> None:
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["expires"] <= max(10, entry["schedule"].total_seconds())


@pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="needs the servers")
def test_a_second_beat_stands_by_until_the_first_is_gone(beats: tuple[OneBeat, OneBeat]) -> None:
    first, second = beats

    assert first.leads()
    assert not second.leads()
    assert first.leads()

    first.close()
    assert second.leads()
