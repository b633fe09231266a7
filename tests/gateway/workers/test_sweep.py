"""The sweep runs as the application's role and leaves living processes alone."""

import pytest

from gateway.workers.sweep import sweep


@pytest.mark.django_db
def test_a_sweep_without_orphans_expires_nothing() -> None:
    assert sweep() == 0
