"""Each wall between organizations taken away: the others hold; with all three away, this test fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from uuid import UUID

import psycopg
import pytest
from django.contrib.admin import ModelAdmin
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import connection, connections, models
from django.http import HttpRequest
from django.test import Client
from psycopg import sql

from attribution.isolation import scoped
from attribution.isolation.postgresql.base import tenant_tables
from attribution.isolation.transaction import NoTenantError, tenant
from attribution.prices.models import PriceQuerySet
from attribution.tenancy import access
from attribution.tenancy.access import Belonging, Name
from attribution.tenancy.admin import ScopedAdmin
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from tests.architecture.addresses import every_address
from tests.cast import Cast, make_cast

CANARY = "CANARY-B"
COMBINATIONS = {
    "access functions away": (1,),
    "managers and statement guard away": (2,),
    "both away": (1, 2),
    "row security away": (3,),
}


@pytest.fixture
def removed(request: pytest.FixtureRequest) -> Iterator[tuple[int, ...]]:
    """Name the walls that are away; row security falls here, before the test's transaction."""
    with _row_security_away() if 3 in request.param else nullcontext():
        yield request.param


@pytest.fixture
def both(removed: tuple[int, ...], db: None, monkeypatch: pytest.MonkeyPatch) -> tuple[Cast, Cast]:
    """Give ours and theirs, and take the other walls away."""
    casts = make_cast(mark="OURS"), make_cast(mark=CANARY)
    if 1 in removed:
        _take_access_functions_away(monkeypatch)
    if 2 in removed:
        _take_managers_away(monkeypatch)
    return casts


def walls(*names: str) -> pytest.MarkDecorator:
    """Run a test once for each combination of walls that are away."""
    chosen = names or tuple(COMBINATIONS)
    return pytest.mark.parametrize(
        "removed", [COMBINATIONS[name] for name in chosen], ids=chosen, indirect=True
    )


@walls()
def test_no_answer_carries_the_canary(both: tuple[Cast, Cast]) -> None:
    ours, theirs = both
    before = checksum(theirs)

    assert leaks(ours.browser("owner"), ours, theirs) == []
    assert checksum(theirs) == before


@pytest.mark.parametrize("removed", [(1, 2, 3)], ids=["none stands"], indirect=True)
def test_without_any_wall_the_canary_is_seen(both: tuple[Cast, Cast]) -> None:
    ours, theirs = both

    assert leaks(ours.browser("owner"), ours, theirs)


@walls("access functions away", "row security away")
def test_a_lying_session_is_refused_inside(
    both: tuple[Cast, Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = both
    name = Name(theirs.organization.pk, theirs.organization.slug, theirs.organization.name)
    monkeypatch.setattr(access, "belongings", lambda _user_id: [Belonging(name, "owner")])

    answer = ours.browser("owner").get("/admin/attribution/costcenter/")

    assert answer.status_code == 403
    assert CANARY not in answer.text


@walls("both away")
def test_row_security_alone_answers_raw_statements(both: tuple[Cast, Cast]) -> None:
    ours, theirs = both
    for table in sorted(tables()):
        assert count(table, served=ours, of=theirs) == 0, table
        assert count(table, served=None, of=theirs) == 0, table


@walls("row security away")
def test_managers_alone_keep_theirs_out(both: tuple[Cast, Cast]) -> None:
    ours, theirs = both
    with tenant(ours.organization.pk):
        found = UsageRecord.objects.filter(pk=theirs.call_id)

        assert not found.exists()
        assert not list(UsageRecord._base_manager.filter(pk=theirs.call_id))
        assert found.union(found).count() == 0


@walls("row security away")
def test_the_guard_refuses_statements_outside_a_tenant(both: tuple[Cast, Cast]) -> None:
    ours, _theirs = both
    with tenant(ours.organization.pk):
        late = UsageRecord.objects.all()

    with pytest.raises(NoTenantError):
        list(late)
    with pytest.raises(NoTenantError), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_record")
    with pytest.raises(NoTenantError):
        Organization.objects.count()


def leaks(client: Client, ours: Cast, theirs: Cast) -> list[str]:
    """Return the addresses at which theirs is seen: lists, searches, and rows by their ids."""
    found = []
    for address in every_address():
        if address.name in {"attribution:sign-out", "admin:logout", "gateway:metrics-show"}:
            continue
        urls = {address.of(ours), address.of(theirs)}
        if address.name.endswith("_changelist"):
            urls |= {f"{address.of(ours)}?{query}" for query in searches(theirs)}
        found += [url for url in urls if CANARY in seen(client, url)]
    return found


def searches(theirs: Cast) -> list[str]:
    """Return queries that ask a list for what is theirs."""
    return ["all=", "days=90", "when=all", "state=all", f"q={CANARY[2:]}", f"q={theirs.call_id}"]


def seen(client: Client, url: str) -> str:
    """Return everything that an answer says, but for what was asked."""
    try:
        answer = client.get(url)
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        return ""
    return f"{answer.headers} {answer.content.decode(errors='replace')}"


def checksum(cast: Cast) -> dict[str, object]:
    """Return a digest of every row of an organization, by table."""
    found: dict[str, object] = {}
    with tenant(cast.organization.pk), connection.cursor() as cursor:
        for table in sorted(tables()):
            column = "id" if table == "organization" else "organization_id"
            statement = sql.SQL(
                "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
                " WHERE {} = %s"
            ).format(sql.Identifier(table), sql.Identifier(column))
            cursor.execute(statement, [cast.organization.pk])
            found[table] = cursor.fetchone()
    return found


def count(table: str, *, served: Cast | None, of: Cast) -> int:
    """Count rows of one organization while another one, or none, is served, past wall 1 and 2."""
    column = "id" if table == "organization" else "organization_id"
    organization_id = str(served.organization.pk) if served else ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.organization_id', %s, true)", [organization_id])
        cursor.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
                sql.Identifier(table), sql.Identifier(column)
            ),
            [of.organization.pk],
        )
        (found,) = cursor.fetchone()
        cursor.execute("SELECT set_config('app.organization_id', '', true)")
    return int(found)


def tables() -> set[str]:
    """Return the tables that belong to organizations."""
    pattern = tenant_tables().pattern
    return set(pattern.removeprefix(r"\b(?:").removesuffix(r")\b").split("|"))


def _take_access_functions_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(self: ScopedAdmin, request: HttpRequest) -> models.QuerySet[models.Model]:
        rows: models.QuerySet[models.Model] = ModelAdmin.get_queryset(self, request)
        return rows

    monkeypatch.setattr(PriceQuerySet, "visible", lambda self: self.all())
    monkeypatch.setattr(ScopedAdmin, "get_queryset", everything)
    monkeypatch.setattr(access, "loaded", lambda rows, public_id: rows.get(pk=UUID(public_id)))


def _take_managers_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def unscoped(self: scoped.ScopedManager[models.Model]) -> models.QuerySet[models.Model]:
        return self._queryset_class(model=self.model, using=self._db)

    monkeypatch.setattr(scoped.ScopedManager, "get_queryset", unscoped)
    monkeypatch.setattr(connections["default"], "execute_wrappers", [])


@contextmanager
def _row_security_away() -> Iterator[None]:
    """Let every row through by one more policy per table, committed and taken back."""
    dsn = os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])
    with psycopg.connect(dsn, autocommit=True) as owner:
        walled = owner.execute("SELECT tablename FROM pg_policies WHERE policyname = 'tenant'")
        names = [name for (name,) in walled.fetchall()]
        for name in names:
            owner.execute(
                sql.SQL("CREATE POLICY fallen ON {} USING (true)").format(sql.Identifier(name))
            )
        try:
            yield
        finally:
            for name in names:
                owner.execute(sql.SQL("DROP POLICY fallen ON {}").format(sql.Identifier(name)))
