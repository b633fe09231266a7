"""What is known of an upstream before it is called."""

from typing import Any

import pytest

from gateway.routes.targets import Upstream, UpstreamRow


def upstream(kind: str, base_url: str, **columns: Any) -> Upstream:
    """Return an upstream of a kind, ready for chat."""
    row = UpstreamRow(
        id="u1",
        name="one",
        kind=kind,
        base_url=base_url,
        provider="",
        price_multiplier="1",
        **{"is_cost_reported": False, "is_error_unbilled": False, **columns},
        connect_timeout_s=5,
        idle_timeout_s=60,
        total_timeout_s=600,
        credential_version=0,
    )
    found = Upstream.speaking("openai_chat", row)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "base_url", "is_own"),
    [
        ("openai", "", True),
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "https://relay.example/v1", False),
        ("azure_openai", "https://ours.openai.azure.com", True),
        ("azure_openai", "https://azure.com.example", False),
        ("openai_compatible", "https://api.openai.com/v1", False),
        ("openrouter", "", True),
        ("demo", "", True),
    ],
)
def test_a_providers_own_errors_are_free_and_those_of_a_relay_where_it_is_marked(
    kind: str,
    base_url: str,
    is_own: bool,  # noqa: FBT001  a column of the table
) -> None:
    assert upstream(kind, base_url).row.is_error_unbilled is is_own
    assert upstream(kind, base_url, is_error_unbilled=True).row.is_error_unbilled


def test_openrouter_states_what_it_charges_and_others_where_they_are_marked() -> None:
    assert upstream("openrouter", "").row.is_cost_reported
    assert not upstream("openai", "").row.is_cost_reported
    assert not upstream("openrouter", "https://relay.example/v1").row.is_cost_reported
    assert upstream(
        "openai_compatible", "https://x.example", is_cost_reported=True
    ).row.is_cost_reported
