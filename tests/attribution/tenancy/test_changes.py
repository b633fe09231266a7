"""What was done to a row is told in words, without internals and without secrets."""

from datetime import UTC, datetime

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy import changes
from gateway.keys import keyring
from gateway.keys.models import ApiKey
from tests.cast import Cast


def test_a_new_row_is_told_in_a_word_and_a_change_by_what_became_of_it(ours: Cast) -> None:
    by = Actor("user", ours.person("finance").pk)
    with tenant(ours.organization.pk):
        key, _secret = keyring.issue("batch", by=by)
        key.allowed_models, key.is_user_pinned, key.notes = ["a", "b"], True, "<b>"
        key.expires_at = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
        fields = ["allowed_models", "is_user_pinned", "notes", "expires_at"]
        keyring.change(key, by=by, fields=fields)
        newest, oldest = changes.of(key)

    assert oldest.text == "Issued"
    assert newest.person == str(ours.person("finance"))
    assert newest.text == (
        "Changed · User cannot be overridden: no → yes · Allowed models: — → a, b"
        " · Expires: — → 2030-01-02 03:04 · Notes: — → <b>"
    )


def test_a_related_row_is_named_by_its_column_only(ours: Cast) -> None:
    by = Actor("user", ours.person("owner").pk)
    with tenant(ours.organization.pk):
        key = ApiKey.objects.get(pk=ours.key.pk)
        key.cost_center = None
        keyring.change(key, by=by, fields=["cost_center"])
        trail.append("api_key.unheard", by=by, on=key)
        texts = {change.text for change in changes.of(key)}

    assert texts == {"Changed · Cost center", "unheard"}
