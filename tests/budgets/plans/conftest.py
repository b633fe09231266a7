"""Our organization, served for a whole test."""

from collections.abc import Iterator

import pytest

from attribution.isolation.transaction import tenant
from tests.cast import Cast


@pytest.fixture
def here(ours: Cast) -> Iterator[Cast]:
    """Serve our organization for the whole test."""
    with tenant(ours.organization.pk):
        yield ours
