"""Each threshold's mail exactly once: twenty workers side by side, killed at any step and replaced."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from budgets.alerts.models import Alert
from budgets.notifications.models import Notification
from tests.factories import make_budget, make_member, make_organization
from tests.fakes import mailbox
from tests.fakes.mailbox import Letter, Mailbox

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 20
THRESHOLDS = [str(percent) for percent in range(10, 101, 10)]
PEOPLE = (Role.OWNER, Role.FINANCE)
WITHIN = timedelta(seconds=10)
PATIENCE_S = 90


class Killer:
    """Kills a client now and then, at chosen steps, with a seed."""

    def __init__(self, *steps: str, most: int, odds: int, seed: int = 1) -> None:
        self._steps, self._left, self._odds = steps, most, odds
        self._chance = random.Random(seed)  # noqa: S311 -- not a secret

    def __call__(self, step: str) -> bool:
        """Say whether the client at this step is killed."""
        if step not in self._steps or not self._left or self._chance.randrange(self._odds):
            return False
        self._left -= 1
        return True


@contextmanager
def working(organization: Organization, box: Mailbox, *, mode: str = "claimed") -> Iterator[None]:
    """Run the workers; together they spend the whole budget."""
    argv = [str(organization.pk), str(box.port), str(WORKERS), mode]
    process = subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-m", "tests.concurrency.mailers", *argv],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def company() -> Organization:
    """Make an organization of two who are told of ten thresholds."""
    organization = make_organization()
    with tenant(organization.pk):
        for role in PEOPLE:
            make_member(role=role)
        make_budget(limit="10", thresholds=THRESHOLDS, enforcement="warn", name="crowded")
    return organization


def settled(organization: Organization, box: Mailbox, *, most: int) -> None:
    """Wait until every mail was delivered and noted, then a little for what may come twice."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with tenant(organization.pk):
            mails = Notification.objects.filter(channel="email")
            is_done = mails.filter(done_at__isnull=False).count() >= most
        if is_done:
            time.sleep(2)
            return
        time.sleep(0.2)
    raise TimeoutError(f"{len(box.letters)} letters, {box.killed} killed")


def late(organization: Organization, letters: list[Letter], *, busy: float) -> list[timedelta]:
    """Return how long after its crossing each letter was confirmed, where that is too long.

    `busy` is by how much others had overloaded the machine before: the promise is of a quiet one.
    """
    with tenant(organization.pk):
        crossed = {str(alert.pk): alert.crossed_at for alert in Alert.objects.all()}
        rows = Notification.objects.filter(channel="email")
        alerts = {str(row.pk): crossed[row.payload["alert_id"]] for row in rows}
    waits = [one.at - alerts[one.id.strip("<>").partition("@")[0]] for one in letters]
    return [wait for wait in waits if wait > busy * WITHIN]


def by_message(letters: list[Letter]) -> Counter[tuple[str, str]]:
    """Return how often each message reached each recipient."""
    return Counter((one.recipient, str(one.message["Subject"])) for one in letters)


def test_each_mail_arrives_once_and_in_time_while_workers_are_killed() -> None:
    organization, most = company(), len(THRESHOLDS) * len(PEOPLE)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    steps = (mailbox.HELLO, mailbox.SENDER, mailbox.RECIPIENT, mailbox.BODY, mailbox.NEXT)
    with Mailbox(ends=Killer(*steps, most=15, odds=4), slow_s=0.05) as box:
        with working(organization, box):
            settled(organization, box, most=most)

        ids = Counter(letter.id for letter in box.letters)
        assert len(box.killed) >= 8
        assert set(ids.values()) == {1}
        assert len(ids) == most
        assert set(by_message(box.letters).values()) == {1}
        assert late(organization, box.letters, busy=busy) == []
    with tenant(organization.pk):
        assert Alert.objects.count() == len(THRESHOLDS)


def test_what_was_confirmed_to_a_worker_that_died_comes_again_under_its_id() -> None:
    organization, most = company(), len(THRESHOLDS) * len(PEOPLE)
    with Mailbox(ends=Killer(mailbox.CONFIRMED, most=3, odds=3), slow_s=0.02) as box:
        with working(organization, box):
            settled(organization, box, most=most)

        ids = Counter(letter.id for letter in box.letters)
        assert box.killed == [mailbox.CONFIRMED] * 3
        assert len(ids) == most  # a receiver that looks at ids has each once
        assert sum(ids.values()) == most + 3


def test_without_the_claim_they_come_twice() -> None:
    organization, most = company(), len(THRESHOLDS) * len(PEOPLE)
    with Mailbox(slow_s=0.2) as box:
        with working(organization, box, mode="unclaimed"):
            until = time.monotonic() + PATIENCE_S
            while len(box.letters) <= most and time.monotonic() < until:
                time.sleep(0.2)

        assert max(Counter(letter.id for letter in box.letters).values()) > 1
