"""What the JSON API tells apart together: few values in everything, many values one at a time."""

from datetime import timedelta
from typing import Any

import pytest

from tests.attribution.reports.house import DAYS, House

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(scope="module")
def houses(django_db_blocker: Any) -> dict[str, House]:
    """Give an organization with calls of forty days."""
    with django_db_blocker.unblock():
        return {"UTC": House("UTC", seed=3)}


def test_models_are_told_apart_inside_every_other_dimension(houses: dict[str, House]) -> None:
    day = houses["UTC"].today
    asked = f"start={day - timedelta(days=DAYS)}&end={day}"

    told = houses["UTC"].told(query=f"{asked}&group_by=feature,model")
    one = houses["UTC"].told(query=f"{asked}&group_by=user&model=m-1")

    assert set(told["breakdown"]) >= {"search", "chat"}
    assert set(told["breakdown"]["chat"]) == {"m-1", "m-2", "m-3"}
    per_model = houses["UTC"].told(query=f"{asked}&group_by=model")["breakdown"]["m-1"]
    assert one["total"]["cost_usd"] == per_model["cost_usd"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("group_by=user&interval=hour", "interval"),
        ("prompt=x&interval=hour", "interval"),
        ("group_by=path&start=2026-11-01T05:00:00Z&end=2026-11-03", "start"),
    ],
)
def test_hours_are_refused_where_only_days_are_kept(
    houses: dict[str, House], query: str, param: str
) -> None:
    answer = houses["UTC"].ask(query=query)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_departments_are_told_apart_by_their_names(houses: dict[str, House]) -> None:
    house = houses["UTC"]
    asked = f"start={house.today - timedelta(days=DAYS)}&end={house.today}&group_by=department"

    told = house.told(query=asked)
    chosen = house.told(query=f"{asked}&department={house.department.name}")
    strange = house.ask(query=f"{asked}&department=Nowhere")

    assert set(told["breakdown"]) == {house.department.name, ""}
    assert chosen["total"] == told["breakdown"][house.department.name]
    assert (strange.status_code, strange.json()["error"]["param"]) == (400, "department")
