"""The demo: two organizations with people, budgets, a key, the demo upstream and 90 days of calls."""

import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connections
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.insights import detection
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.prices import catalog, published
from attribution.prices.models import Price, PriceStatus
from attribution.tenancy import policy
from attribution.tenancy.models import CostCenter, Department, Membership, Organization, Role, User
from budgets.forecasts import evaluation
from budgets.limits import revisions
from budgets.limits.models import Basis, Budget, Enforcement, Scope, Threshold, Unit
from budgets.limits.periods import PeriodSpec, Window, window_at
from budgets.reservations import ingest
from config.demo import channels, filling, history, keys, limits, refusals, upstreams
from gateway.keys import tokens
from gateway.keys.models import ApiKey

NAMES = uuid.UUID("6f0d8f3a-6f3e-4c0e-9a51-0d4f3a5e7b10")
BEGINNING = datetime.fromisoformat("2020-01-01T00:00:00Z")
DEMO_RATES = {"base": {"input": "2", "cache_read": "0.5", "output": "8"}}  # those of gpt-4.1
NEAR = Decimal("0.885")  # of its limit: what the budget near its limit has spent


@dataclass(frozen=True, slots=True)
class Center:
    """A cost center and its monthly budget: limit in USD, alert at percent of it."""

    code: str
    name: str
    department: str
    gl_account: str
    limit: int
    alert: int
    enforcement: Enforcement = Enforcement.WARN


@dataclass(frozen=True, slots=True)
class Company:
    """An organization of the demo."""

    slug: str
    name: str
    zone: str
    departments: dict[str, str]  # name -> part of
    centers: tuple[Center, ...]
    default_center: str
    people: dict[Role, str]
    teams: Callable[[str], tuple[history.Team, ...]]  # given the domain of their addresses
    near_center: str = ""

    @property
    def id(self) -> uuid.UUID:
        """Return the same id on every machine, so that seeding again finds its own work."""
        return uuid.uuid5(NAMES, self.slug)

    @property
    def domain(self) -> str:
        """Return the domain of its people's addresses."""
        return f"{self.slug}.example"


ACME = Company(
    "acme",
    "Acme Robotics",
    "Europe/Paris",
    {"Growth": "", "Customer care": "Growth", "Engineering": "", "Operations": ""},
    (
        Center("MARKETING", "Marketing", "Growth", "6231", 500, 80),
        Center("SALES", "Sales", "Growth", "6232", 1000, 75),
        Center("SUPPORT", "Customer support", "Customer care", "6233", 800, 90),
        Center(
            "RND", "Research and development", "Engineering", "6234", 2000, 70, Enforcement.BLOCK
        ),
        Center("DEFAULT", "Unassigned", "Operations", "6239", 100, 100, Enforcement.BLOCK),
    ),
    "DEFAULT",
    {
        Role.FINANCE: "Fatima Finance",
        Role.MANAGER: "Marc Manager",
        Role.ENGINEER: "Erin Engineer",
        Role.OWNER: "Olivia Owner",
        Role.AUDITOR: "Aiko Auditor",
    },
    history.acme,
    near_center="SUPPORT",
)
NORTHWIND = Company(
    "northwind",
    "Northwind Labs",
    "America/New_York",
    {"Research": ""},
    (Center("LAB", "Laboratory", "Research", "7100", 300, 80),),
    "LAB",
    {Role.FINANCE: "Nadia Finance"},
    history.northwind,
)
COMPANIES = (ACME, NORTHWIND)


def seed(*, at: datetime) -> dict[str, Any]:
    """Create what is missing of the demo and return what people need to enter it.

    Each organization comes whole or not at all; one that exists is left alone. Passwords and the
    key follow from SECRET_KEY, so that the answer is the same every time.
    """
    ingest.prepare((at - timedelta(days=history.DAYS + 1)).date(), at.date())
    for company in COMPANIES:
        with tenant(company.id):
            if not Price.objects.shared().filter(status=PriceStatus.APPROVED).exists():
                catalog.load(published.read(), at=at)
            if not Organization.objects.filter(pk=company.id).exists():
                _build(company, at=at)
    rollups.advance()
    _analyze()
    for company in COMPANIES:
        with tenant(company.id):
            detection.judge_days(at=at)
        evaluation.evaluate(company.id, at=at)
    return told()


def _analyze() -> None:
    """Let the planner know of the bulk at once: the first pages would come before autovacuum does."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE usage_record, reservation, ledger_entry, rollup, latency_rollup")


def told() -> dict[str, Any]:
    """Return organization, key and logins, as demo.json shows them."""
    return {
        "organization": ACME.slug,
        "organization_id": str(ACME.id),
        "api_key": _token(ACME).text,
        "logins": [
            {
                "organization": company.slug,
                "role": role.value,
                "email": f"{role.value}@{company.domain}",
                "password": _password(company),
            }
            for company in COMPANIES
            for role in company.people
        ],
    }


def _build(company: Company, *, at: datetime) -> None:
    organization = Organization(
        id=company.id, slug=company.slug, name=company.name, time_zone=company.zone, is_demo=True
    )
    organization.save(force_insert=True)
    people = _add_people(company)
    _add_centers(company, organization, people)
    Price.objects.create(
        organization=organization, provider="demo", model="demo", rates=DEMO_RATES,
        context_window=128_000, max_output_tokens=16_384, effective_from=BEGINNING, source="demo",
    )  # fmt: skip
    upstreams.create(at=at)
    _add_key(company, people.get(Role.ENGINEER))
    keys.add_examples(people.get(Role.ENGINEER), at=at)
    budgets = _add_budgets(company, people.get(Role.MANAGER), at=at)
    for batch in _batches(keys.attributed(_history(company, at=at))):
        ingest.record(batch)
    _watch(company, budgets)
    near = budgets.get(company.near_center)
    limits.add(near)
    channels.add(company.domain, people.get(Role.FINANCE))
    limits.ask_for_more(near, people.get(Role.FINANCE), at=at)
    refusals.add(budgets.get(company.default_center), at=timezone.now())
    limits.raise_for_a_week(budgets.get("RND"), people.get(Role.FINANCE), at=at)
    policy.changed(company.id)


def _add_people(company: Company) -> dict[Role, User]:
    password = make_password(_password(company))  # hashed once: it is slow on purpose
    people = {}
    for role, name in company.people.items():
        person = User.objects.filter(email=f"{role.value}@{company.domain}").first()
        person = person or User(email=f"{role.value}@{company.domain}", name=name)
        person.password = password
        person.save()
        Membership.objects.create(user=person, role=role)
        people[role] = person
    return people


def _add_centers(company: Company, organization: Organization, people: dict[Role, User]) -> None:
    departments: dict[str, Department] = {}
    for name, parent in company.departments.items():
        departments[name] = Department.objects.create(name=name, parent=departments.get(parent))
    for center in company.centers:
        made = CostCenter.objects.create(
            code=center.code, name=center.name, department=departments[center.department],
            gl_account=center.gl_account, owner=people.get(Role.MANAGER),
        )  # fmt: skip
        if center.code == company.default_center:
            organization.default_cost_center_id = made.pk
    organization.save(update_fields=["default_cost_center_id"])


def _add_key(company: Company, person: User | None) -> None:
    token = _token(company)
    peppers = tokens.Peppers.from_setting(settings.TOLLKEEPER_KEY_PEPPER)
    digest = peppers.digest(token.secret, peppers.newest)
    ApiKey.objects.create(
        name="Demo program", kid=token.kid, secret_hash=digest,
        pepper_version=peppers.newest, created_by=person, **limits.WIDE,
    )  # fmt: skip


def _add_budgets(company: Company, owner: User | None, *, at: datetime) -> dict[str, Budget]:
    """Open each budget and its periods of the months that the history touches."""
    codes = dict(CostCenter.objects.values_list("code", "pk"))
    budgets = {}
    for center in company.centers:
        budget = Budget(
            name=center.code,
            scope=Scope.COST_CENTER,
            scope_id=codes[center.code],
            enforcement=center.enforcement,
            owner=owner,
        )
        revisions.create(budget, amount=Decimal(center.limit), at=at, by=SYSTEM, reason="demo")
        for window in _months(company, at=at):
            revisions.open_period(budget, window, is_backfilled=False)
        budgets[center.code] = budget
    return budgets


def _watch(company: Company, budgets: dict[str, Budget]) -> None:
    """Set the alerts after the history was counted: nobody is told of months that have ended."""
    for center in company.centers:
        budget = budgets[center.code]
        Threshold.objects.create(budget=budget, value=Decimal(center.alert))
        Threshold.objects.create(budget=budget, basis=Basis.FORECAST, value=100)
        Threshold.objects.create(
            budget=budget, basis=Basis.BURN_RATE, unit=Unit.FACTOR, value=3, hours=24
        )
        revisions.relimit(budget)


def _history(company: Company, *, at: datetime) -> list[ingest.Event]:
    """Return the calls of 90 days; those that fill the budget near its limit are scaled to it."""
    zone = ZoneInfo(company.zone)
    events = list(history.calls(company.teams(company.domain), zone, until=at))
    near = [center for center in company.centers if center.code == company.near_center]
    if not near:
        return events
    start = _months(company, at=at)[-1].starts_at
    in_month = [e for e in events if e.cost_center == near[0].code and e.occurred_at >= start]
    scaled = {event.event_id: event for event in filling.filled(in_month, NEAR * near[0].limit)}
    return [scaled.get(event.event_id, event) for event in events]


def _months(company: Company, *, at: datetime) -> list[Window]:
    """Return the monthly windows from the first call of the history to now."""
    spec = PeriodSpec("month", ZoneInfo(company.zone))
    instant, windows = at - timedelta(days=history.DAYS), []
    while instant <= at and (window := window_at(spec, instant)):
        windows.append(window)
        instant = window.ends_at
    return windows


def _batches(events: list[ingest.Event]) -> list[list[ingest.Event]]:
    return [events[n : n + ingest.MOST] for n in range(0, len(events), ingest.MOST)]


def _token(company: Company) -> tokens.Token:
    return tokens.mint(hashlib.shake_256(_derived(f"key {company.slug}")).digest(tokens.ENTROPY))


def _password(company: Company) -> str:
    words = _derived(f"password {company.slug}").hex()
    return f"{words[:4]}-{words[4:8]}-{words[8:12]}"


def _derived(name: str) -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), f"demo {name}".encode(), "sha256")
