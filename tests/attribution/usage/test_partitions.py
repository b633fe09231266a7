"""Partitions come into being beside running calls, and behind the wall of their parent."""

from datetime import date

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from attribution.isolation.transaction import tenant
from attribution.usage import partitions
from tests.concurrency.store import make_world, resolve, settled

pytestmark = pytest.mark.usefixtures("committed")

PARTITIONED = {"attempt", "ledger_entry", "reservation", "usage_record"}
FIRST_FREE = (
    "SELECT max(to_date(right(inhrelid::regclass::text, 6), 'YYYYMM')) + interval '1 month'"
    " FROM pg_inherits WHERE inhparent = 'usage_record'::regclass"
)


@pytest.fixture
def free_month(owner_dsn: str) -> date:
    """Give a month that has no partition yet."""
    with psycopg.connect(owner_dsn) as owner:
        (month,) = owner.execute(FIRST_FREE).fetchone() or (None,)
    assert month is not None
    return date(month.year, month.month, 1)


def test_making_partitions_waits_for_no_call(gateway_dsn: str, free_month: date) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn) as gateway:  # one transaction, still open
        call = world.call("0.1")
        assert world.admit(gateway, [call]) == ["granted"]
        assert resolve(gateway, [settled(call, "0.1")]) == ["done"]
        with tenant(world.organization_id):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
            assert partitions.create(free_month, months=1) == len(PARTITIONED)

    assert partitions.create(free_month, months=1) == 0


def test_a_partition_named_directly_shows_and_loses_nothing(
    owner_dsn: str, free_month: date
) -> None:
    partitions.create(free_month, months=1)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        for table in sorted(PARTITIONED):
            name = f"{table}_{free_month:%Y%m}"
            is_walled = owner.execute(
                "SELECT relrowsecurity AND relforcerowsecurity AND relacl IS NULL,"
                " (SELECT count(*) FROM pg_policies WHERE tablename = relname) ="
                " (SELECT count(*) FROM pg_policies WHERE tablename = %s)"
                " FROM pg_class WHERE relname = %s",
                [table, name],
            ).fetchone()
            assert is_walled == (True, True), name
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            owner.execute(
                sql.SQL("TRUNCATE {}").format(sql.Identifier(f"ledger_entry_{free_month:%Y%m}"))
            )


def test_at_most_ten_years_are_made_at_once(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        (made,) = owner.execute(
            """SELECT attribution_partitions('{"from": "1980-01-01", "months": 1000000}')"""
        ).fetchone() or (None,)
        owner.rollback()

    assert made == 120 * len(PARTITIONED)
