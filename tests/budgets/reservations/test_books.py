"""Every invariant is found broken when it is broken, and a breach stops admissions until it is mended."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.tenancy.models import Organization
from budgets.reservations import books, holds
from budgets.reservations.holds import Call, RefusedError
from tests.factories import make_budget, make_call, make_organization

pytestmark = pytest.mark.usefixtures("committed")


def world() -> tuple[Organization, uuid.UUID]:
    """Make an organization with one settled call under one hard budget, rolled up."""
    made = make_organization()
    with tenant(made.pk):
        make_budget(limit="10", enforcement="block", name="hard")
        call_id = make_call(cost="1.5")
    rollups.advance()
    return made, call_id


@contextmanager
def tampered(owner_dsn: str, made: Organization, statement: str, *values: object) -> Iterator[None]:
    """Change what nobody may change, as the owner of the tables could."""
    with psycopg.connect(owner_dsn) as owner:
        owner.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(made.pk)],
        )
        assert owner.execute(statement, values).rowcount != 0
    yield


def found(made: Organization) -> set[str]:
    with tenant(made.pk):
        return {breach.invariant for breach in books.verify()}


TAMPERINGS = {
    "I1": "UPDATE budget_period SET spent = spent + 1",
    "I5": "UPDATE budget_period SET spent = 0.1",
    "I2": "UPDATE budget_period SET limit_amount = 1",
    "I3": "DELETE FROM usage_record",
    "I4": "UPDATE usage_record SET hold_amount = 0.1",
    "I6": "UPDATE usage_record SET state = 'uncertain', settled_at = now() - interval '8 days'",
    "I7": "INSERT INTO idempotency (organization_id, api_key_id, idem_hash, usage_id, body_fp, created_at)"
    " SELECT organization_id, gen_random_uuid(), 'x', gen_random_uuid(), 'x', now() FROM usage_record",
    "I8": "UPDATE usage_record SET cost = cost + 0.000000000001",
}


def test_sound_books_have_no_breach() -> None:
    made, _ = world()

    assert found(made) == set()


@pytest.mark.parametrize("invariant", sorted(TAMPERINGS))
def test_a_breach_is_found_and_named(invariant: str, owner_dsn: str) -> None:
    made, _ = world()

    with tampered(owner_dsn, made, TAMPERINGS[invariant]):
        assert invariant in found(made)


def test_rollups_that_differ_are_reported_and_rebuilt_but_stop_nothing(owner_dsn: str) -> None:
    made, _ = world()
    with tampered(owner_dsn, made, "UPDATE rollup SET usd_amount = usd_amount + 1"):
        breaches = books.guard(made.pk, at=timezone.now())

    rollups.rebuild()

    assert [breach.is_closing for breach in breaches] == [False] * len(breaches)
    assert breaches
    assert found(made) == set()


@pytest.mark.parametrize("grain", ["day", "month"])
def test_days_and_months_are_checked_with_the_whole_books(grain: str, owner_dsn: str) -> None:
    made, _ = world()

    with tampered(owner_dsn, made, "UPDATE rollup SET calls = 9 WHERE grain = %s", grain):
        assert found(made) == {"I8"}


def test_every_minute_periods_are_summed_only_while_they_have_few_calls(
    owner_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = world()
    with tampered(owner_dsn, made, "UPDATE budget_period SET spent = spent + 1"):
        assert [breach.invariant for breach in books.guard(made.pk, at=timezone.now())] == ["I1"]
        monkeypatch.setattr(books, "MANY", 0)
        assert books.guard(made.pk, at=timezone.now()) == []
        whole = books.guard(made.pk, at=timezone.now(), is_whole=True)

    assert [breach.invariant for breach in whole] == ["I1"]


def test_every_minute_the_holds_of_all_periods_are_compared(
    owner_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = world()
    with tenant(made.pk):
        reserve()
    monkeypatch.setattr(books, "MANY", 0)
    assert books.guard(made.pk, at=timezone.now()) == []

    with tampered(owner_dsn, made, "UPDATE budget_period SET held = held + 1"):
        (breach,) = books.guard(made.pk, at=timezone.now())

    assert breach.invariant == "I1"
    assert breach.figures["held_by_calls"] == "0.100000000000"


def test_a_missing_trigger_is_a_breach(owner_dsn: str) -> None:
    made, _ = world()
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only")
        try:
            assert found(made) == {"I9"}
        finally:
            owner.execute("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_append_only")


def test_a_granted_right_is_a_breach(owner_dsn: str) -> None:
    made, _ = world()
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("GRANT UPDATE ON ledger_entry TO tollkeeper_app")
        try:
            assert found(made) == {"I9"}
        finally:
            owner.execute("REVOKE UPDATE ON ledger_entry FROM tollkeeper_app")


def test_a_breach_stops_admissions_until_the_books_are_mended(owner_dsn: str) -> None:
    made, _ = world()
    with tampered(owner_dsn, made, "UPDATE budget_period SET spent = spent + 1"):
        books.guard(made.pk, at=timezone.now())

    with tenant(made.pk), pytest.raises(RefusedError, match="stale"):
        reserve()
    with tenant(made.pk):
        assert [breach.invariant for breach in books.reopen(reason="too early")] == ["I1"]
    with tampered(owner_dsn, made, "UPDATE budget_period SET spent = spent - 1"), tenant(made.pk):
        assert books.reopen(reason="the counter was corrected") == []
        reserve()
        actions = AuditEntry.objects.order_by("at").values_list("action", flat=True)
        assert [name for name in actions if "admissions" in name] == [
            "organization.admissions_stopped",
            "organization.admissions_reopened",
        ]


def reserve() -> None:
    now = timezone.now()
    holds.reserve(Call(holds.mint(now)), Decimal("0.1"), at=now, worker_id=uuid.uuid4())


def test_the_command_fails_on_a_breach_and_says_where(owner_dsn: str) -> None:
    made, _ = world()
    out, errors = StringIO(), StringIO()
    call_command("verify_ledger", made.slug, stdout=out)
    assert out.getvalue() == f"{made.slug}: 0 breaches, admitting\n"

    with (
        tampered(owner_dsn, made, "UPDATE budget_period SET spent = spent + 1"),
        pytest.raises(CommandError, match="1 breaches"),
    ):
        call_command("verify_ledger", made.slug, stdout=out, stderr=errors)

    assert f"{made.slug}: I1 a period's counters differ" in errors.getvalue()
    assert "spent 2.5" in errors.getvalue()
