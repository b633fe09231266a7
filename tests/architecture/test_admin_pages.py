"""Admin pages keep the strict content policy and answer every list within a query budget."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.architecture.addresses import Address, every_address
from tests.cast import Cast

PAGES = [
    address
    for address in every_address()
    if address.name.startswith("admin:")
    and address.name not in {"admin:login", "admin:logout", "admin:jsi18n"}
    and not address.name.endswith("_delete")
    and address.name != "admin:attribution_organization_add"
]
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=\"|javascript:|<script(?![^>]*\ssrc=)(?![^>]*json)"
)
BUDGET = 30


@pytest.mark.parametrize("address", PAGES, ids=lambda address: address.name)
def test_an_admin_page_keeps_policy_and_query_budget(ours: Cast, address: Address) -> None:
    browser = ours.browser("owner")

    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(address.of(ours))

    if answer.status_code == 200:
        assert not INLINE.findall(answer.text)
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert len(queries) <= BUDGET
