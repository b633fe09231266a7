"""Workers that spend and deliver side by side; a killed one is replaced at once.

    python -m tests.concurrency.mailers <organization> <mail port> <workers> [unclaimed]

They are forks of one process, so that twenty start in a moment; each has connections of its own.
"""

import os
import random
import sys
import time
from datetime import timedelta
from uuid import UUID

import django
from django.conf import settings
from django.core.mail.utils import DNS_NAME
from django.template.loader import get_template
from django.urls import get_resolver

django.setup()

from attribution.isolation.transaction import tenant  # noqa: E402 -- models come after the set-up
from budgets.alerts.models import Alert  # noqa: E402
from budgets.notifications import delivery, gathering  # noqa: E402
from tests.factories import make_call  # noqa: E402

CALL_USD = "0.10"
MIN_S, MAX_S = 0.5, 2.0  # between two rounds of a worker: a beat pokes every two seconds


def main(argv: list[str]) -> None:
    """Keep the workers running; whoever started this ends the whole group."""
    organization_id, port, count = UUID(argv[0]), int(argv[1]), int(argv[2])
    _prepare(port, is_claimed="unclaimed" not in argv[3:])
    workers: dict[int, int] = {}
    for number in range(count):
        workers[_start(organization_id, number)] = number
    while True:
        pid, _status = os.wait()
        number = workers.pop(pid)
        workers[_start(organization_id, number)] = number


def _prepare(port: int, *, is_claimed: bool) -> None:
    """Import before the forks what a worker would load with its first message."""
    get_resolver().url_patterns  # noqa: B018 -- reading it imports every page
    get_template("email/message.html")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    if not is_claimed:
        delivery.LEASE = timedelta(0)


def _start(organization_id: UUID, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    _work(organization_id, random.Random(f"{number} {os.getpid()}"))  # noqa: S311 -- not a secret
    os._exit(0)


def _work(organization_id: UUID, chance: random.Random) -> None:
    DNS_NAME._fqdn = f"worker-{os.getpid()}"  # so that the server knows whom to kill
    while True:
        with tenant(organization_id):
            if not Alert.objects.filter(threshold=100).exists():
                make_call(cost=CALL_USD)
        gathering.gather(organization_id)
        delivery.deliver(organization_id)
        time.sleep(chance.uniform(MIN_S, MAX_S))


if __name__ == "__main__":
    main(sys.argv[1:])
