"""The published document against the running app: what is asked by its shapes is answered by its shapes."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings

from attribution.usage import partitions
from budgets.reservations.reported import FIELDS
from config import shapes
from tests.config.whole import whole_app
from tests.gateway.running import House, aside, make_house

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
# No shape tells which cost centers and models exist, so what fits it may still be refused; and in a
# query one value and a list of one look the same, so what does not fit it may still be meant.
UNKNOWABLE = {
    "POST": [checks.positive_data_acceptance],
    "GET": [checks.positive_data_acceptance, checks.negative_data_rejection],
}
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/openapi.yaml"
OWN = [
    ("POST", "/v1/usage"),
    ("GET", "/v1/analytics/costs"),
    ("GET", "/costs/summary"),
    ("POST", "/v1/costs/estimate"),
    ("GET", "/v1/budgets"),
    ("GET", "/v1/models"),
]
EXAMPLES = 30  # of each address, valid ones and invalid ones


def knock(url: str, token: str, method: str, path: str) -> int:
    """Ask one address by its description; return how often it was asked."""
    schema = schemathesis.openapi.from_path(DOCUMENT)
    operation, asked = schema[path][method], 0
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation))
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(
            base_url=url, session=session, timeout=20, excluded_checks=UNKNOWABLE[method]
        )

    with session:
        ask()
    return asked


def _cases(operation: Any) -> Any:
    modes = schemathesis.GenerationMode
    return operation.as_strategy(modes.POSITIVE) | operation.as_strategy(modes.NEGATIVE)


async def test_every_answer_is_one_that_the_document_tells_of(
    committed: None, gateway_dsn: str
) -> None:
    house = await aside(_house)

    async with whole_app(house, gateway_dsn) as url:
        asked = [await asyncio.to_thread(knock, url, house.token, *one) for one in OWN]

    assert min(asked) >= EXAMPLES / 2


def _house() -> House:
    house = make_house(kind="demo", base_url="")
    today = timezone.now()
    partitions.ensure(today - timedelta(days=60))
    return house


def test_every_field_of_an_event_is_described() -> None:
    assert set(shapes.EVENT["properties"]) == FIELDS
