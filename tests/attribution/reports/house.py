"""An organization with calls of forty days, told in figures: what the tests of the JSON API ask about."""

import json
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.test import Client
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.prices.tokens import CLASSES, Tokens
from attribution.tenancy.models import Organization, Role
from budgets.reservations import ingest
from budgets.reservations.ingest import Event
from gateway.keys import keyring
from tests.factories import (
    make_cost_center,
    make_department,
    make_member,
    make_organization,
    make_user,
)

COSTS = "/v1/analytics/costs"
SUMMARY = "/costs/summary"
CENTERS = ("ALPHA", "BETA", "GAMMA")
MODELS = ("m-1", "m-2", "m-3")
DAYS = 40


class House:
    """An organization with calls of forty days, a key, and ways to ask."""

    def __init__(self, zone: str, *, seed: int = 1, count: int = 300) -> None:
        self.organization: Organization = make_organization(time_zone=zone)
        self.zone = ZoneInfo(zone)
        self.today = timezone.now().astimezone(self.zone).date()
        with tenant(self.organization.pk):
            self.department = make_department()
            self.centers = {
                code: make_cost_center(
                    code=code, department=self.department if code == "ALPHA" else None
                )
                for code in CENTERS
            }
            _key, self.token = keyring.issue("all", by=SYSTEM)
        events = list(_calls(random.Random(seed), count))  # noqa: S311 -- no secret
        times = [event.occurred_at.date() for event in events]
        ingest.prepare(min(times), max(times))
        with tenant(self.organization.pk):
            ingest.record(events)
        rollups.advance()

    def key(self, **fields: Any) -> str:
        """Issue another key."""
        with tenant(self.organization.pk):
            _key, token = keyring.issue("another", by=SYSTEM, fields=fields)
        return token

    def person(self, role: Role, *, is_narrowed: bool = False) -> Client:
        """Sign a person in."""
        user, client = make_user(), Client()
        with tenant(self.organization.pk):
            make_member(role=role, user=user, department=self.department if is_narrowed else None)
        client.force_login(user)
        return client

    def ask(self, path: str = COSTS, query: str = "", *, token: str = "") -> Any:
        """Ask with a key."""
        return Client().get(f"{path}?{query}", headers={"x-api-key": token or self.token})

    def told(self, path: str = COSTS, query: str = "") -> dict[str, Any]:
        """Return what is told to the key that sees everything."""
        answer = self.ask(path, query)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = json.loads(answer.content)
        return found


def _calls(dice: random.Random, count: int) -> Any:
    now = timezone.now()
    for number in range(count):
        ago = timedelta(minutes=dice.randrange(5, DAYS * 24 * 60))
        cost = Decimal(dice.randrange(10**13)).scaleb(-12) if dice.random() < 0.9 else None
        yield Event(
            source="test",
            event_id=str(number),
            occurred_at=now - ago,
            model=dice.choice(MODELS),
            provider="nobody",
            tokens=Tokens(**{name: dice.randrange(1000) for name in CLASSES}),
            cost=cost,  # None: nobody has a price for it
            cost_center=dice.choice((*CENTERS, "")),
            columns={
                "user_id": dice.choice(("ada", "bob", "")),
                "feature": dice.choice(("search", "chat")),
                "total_ms": dice.randrange(1, 60_000),
            },
        )
