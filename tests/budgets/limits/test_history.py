"""The history of a budget is told in words."""

from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from budgets.limits import overrides
from budgets.limits.overrides import Terms
from tests.budgets.limits.filling import (
    change_url,
    changed,
)
from tests.cast import Cast


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_the_history_tells_every_change_in_words(ours: Cast, browser: Client) -> None:
    manager = ours.person("manager")
    thresholds = {
        "thresholds-TOTAL_FORMS": "1",
        "thresholds-0-basis": "actual",
        "thresholds-0-value": "90",
        "thresholds-0-unit": "percent",
        "thresholds-0-quantile": "p50",
    }
    answers = changed("OURS budget", limit="250", enforcement="warn", reason="board of 3 May")
    browser.post(change_url(ours.budget), {**answers, **thresholds, "owner": str(manager.pk)})
    at = timezone.now()
    with tenant(ours.organization.pk):
        by = Actor("user", ours.person("owner").pk)
        terms = Terms(Decimal(50), at, at + timedelta(hours=1), "a launch")
        overrides.grant(ours.budget, terms, at=at, by=by)

    page = unescape(browser.get(f"/admin/budgets/budget/{ours.budget.pk}/history/").text)

    assert "Limit raised · Limit (USD): 100 → 250 · Reason: board of 3 May" in page
    assert "Changed · Enforcement: block → warn · Owner: OURS manager" in page
    assert "Threshold added · 90 % of the limit actual spend" in page
    assert "Override granted · Added to the limit (USD): 50" in page
    assert "A second person was asked · Limit when it was asked for (USD): 100.00" in page
    assert "New limit (USD): 900.00" in page
    assert "Added · Limit (USD): 100 · Name: OURS budget" in page
