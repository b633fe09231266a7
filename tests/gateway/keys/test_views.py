"""The pages of keys: who sees which, what is shown once, how one is replaced and revoked."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from gateway.keys import tokens
from gateway.keys.authentication import look_up
from gateway.keys.models import ApiKey
from tests.cast import Cast
from tests.factories import make_cost_center, make_department, make_key, make_member, make_user

URL = "/keys/"
VALID = {
    "name": "nightly",
    "notes": "runs at 02:00",
    "scopes": ["call", "ingest"],
    "allowed_models": "gpt-4o-mini, claude-*",
    "enrich": "full",
    "requests_per_minute": "60",
}
HOUR = timedelta(hours=1)


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def secret_on(page: str) -> str:
    """Return the text of the key that a page shows."""
    found = re.search(r"tk_live_\w{60,}", page)
    assert found, "no key on the page"
    return found[0]


def works(text: str) -> bool:
    token = tokens.parse(text)
    return token is not None and look_up(token) is not None


def stored(ours: Cast, **columns: object) -> ApiKey:
    with tenant(ours.organization.pk):
        return ApiKey.objects.select_related("cost_center").get(**columns)


def test_a_key_is_issued_with_what_it_may_do_and_shown_once(ours: Cast, browser: Client) -> None:
    form = {**VALID, "cost_center": str(ours.cost_center.pk), "is_cost_center_pinned": "on"}

    answer = browser.post(f"{URL}new/", form)

    text = secret_on(answer.text)
    key = stored(ours, name="nightly")
    assert answer["Cache-Control"] == "no-store"
    assert works(text)
    assert key.scopes == ["call", "ingest"]
    assert key.allowed_models == ["gpt-4o-mini", "claude-*"]
    assert key.cost_center == ours.cost_center
    assert key.created_by_id == ours.person("finance").pk
    for url in (URL, f"{URL}{key.pk}/", f"{URL}{key.pk}/change/"):
        page = browser.get(url).text
        assert text.split("_")[3] not in page
        assert "nightly" in page


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"allowed_cost_centers": "NOWHERE"}, "allowed_cost_centers"),
        ({"is_cost_center_pinned": "on"}, "cost_center"),
        ({"is_user_pinned": "on"}, "user_name"),
        ({"expires_at": "2020-01-01T00:00"}, "expires_at"),
        ({"requests_per_minute": "0"}, "requests_per_minute"),
    ],
)
def test_a_wrong_form_says_where_and_issues_nothing(
    ours: Cast, browser: Client, wrong: dict[str, object], field: str
) -> None:
    answer = browser.post(f"{URL}new/", {**VALID, **wrong})

    assert list(answer.context["form"].errors) == [field]
    assert "tk_live_" not in answer.text.replace("tk_live_…", "")
    with tenant(ours.organization.pk):
        assert not ApiKey.objects.filter(name="nightly").exists()


def test_every_scope_ticked_is_kept_as_everything(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}new/", {**VALID, "scopes": ["call", "costs", "ingest", "stream"]})

    key = stored(ours, name="nightly")
    assert key.scopes == []
    assert browser.get(f"{URL}{key.pk}/change/").text.count(" checked") == 4


def test_a_change_holds_from_the_next_call_and_is_audited(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        before = Organization.objects.get().policy_epoch

    browser.post(f"{URL}{ours.key.pk}/change/", {**VALID, "name": "renamed"})

    key = stored(ours, pk=ours.key.pk)
    assert (key.name, key.scopes, key.requests_per_minute) == ("renamed", ["call", "ingest"], 60)
    with tenant(ours.organization.pk):
        assert Organization.objects.get().policy_epoch > before
        entry = AuditEntry.objects.get(action="api_key.changed")
    assert entry.changes["name"] == ["OURS key", "renamed"]


@pytest.mark.parametrize(("overlap", "goes_on"), [("0", False), ("1h", True), ("7d", True)])
def test_a_secret_is_replaced_with_the_overlap_that_was_chosen(
    ours: Cast, browser: Client, overlap: str, *, goes_on: bool
) -> None:
    old = secret_on(browser.post(f"{URL}new/", VALID).text)
    key = stored(ours, name="nightly")

    page = browser.post(f"{URL}{key.pk}/rotate/", {"overlap": overlap}).text

    new = secret_on(page)
    assert works(new)
    assert works(old) is goes_on
    assert ("The old secret works until" in page) is goes_on


def test_a_revoked_key_is_refused_for_ever(ours: Cast, browser: Client) -> None:
    text = secret_on(browser.post(f"{URL}new/", VALID).text)
    url = f"{URL}{stored(ours, name='nightly').pk}/"

    mistyped = browser.post(f"{url}revoke/", {"name": "nightly?"})
    assert mistyped.status_code == 200
    assert works(text)
    browser.post(f"{url}revoke/", {"name": "nightly"})

    assert not works(text)
    for verb, form in (("change", VALID), ("rotate", {"overlap": "1h"}), ("revoke", {})):
        assert browser.post(f"{url}{verb}/", form)["Location"] == url
    assert stored(ours, name="nightly").revoked_at is not None
    assert "nightly" not in browser.get(URL).text
    assert "nightly" in browser.get(f"{URL}?state=ended").text


def test_a_page_warns_of_other_secrets_that_go_on(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}{ours.key.pk}/rotate/", {"overlap": "7d"})

    with tenant(ours.organization.pk):
        successor = ApiKey.objects.exclude(pk=ours.key.pk).get()
    assert "Another secret of this key" in browser.get(f"{URL}{successor.pk}/").text
    assert "One other secret" in browser.get(f"{URL}{successor.pk}/revoke/").text


def test_an_engineer_sees_and_replaces_only_keys_that_are_theirs(ours: Cast) -> None:
    browser = ours.browser("engineer")
    with tenant(ours.organization.pk):
        named = make_key(name="named", user_name=ours.person("engineer").email.upper())
        other = make_key(name="someone else's")

    page = browser.get(URL).text

    assert "OURS key" in page
    assert "named" in page
    assert "someone else" not in page
    assert browser.get(f"{URL}{other.pk}/").status_code == 404
    assert browser.post(f"{URL}{other.pk}/rotate/", {"overlap": "0"}).status_code == 404
    assert browser.post(f"{URL}{other.pk}/revoke/", {"name": other.name}).status_code == 404
    assert secret_on(browser.post(f"{URL}{named.pk}/rotate/", {"overlap": "1h"}).text)
    assert browser.get(f"{URL}new/").status_code == 403
    assert browser.post(f"{URL}{named.pk}/change/", VALID).status_code == 403


def test_a_key_stays_an_engineers_when_finance_replaces_its_secret(
    ours: Cast, browser: Client
) -> None:
    browser.post(f"{URL}{ours.key.pk}/rotate/", {"overlap": "0"})

    with tenant(ours.organization.pk):
        successor = ApiKey.objects.exclude(pk=ours.key.pk).get()
    assert ours.browser("engineer").get(f"{URL}{successor.pk}/").status_code == 200


def test_an_engineer_does_not_put_off_the_end_of_a_key(ours: Cast) -> None:
    browser, ends = ours.browser("engineer"), timezone.now() + 10 * HOUR
    with tenant(ours.organization.pk):
        ApiKey.objects.filter(pk=ours.key.pk).update(expires_at=ends)
    url = f"{URL}{ours.key.pk}/rotate/"

    late = browser.post(url, {"overlap": "1h", "expires_at": "2999-01-01T00:00"})
    assert list(late.context["form"].errors) == ["expires_at"]
    browser.post(url, {"overlap": "1h"})

    with tenant(ours.organization.pk):
        assert ApiKey.objects.exclude(pk=ours.key.pk).get().expires_at == ends


def test_somebody_narrowed_keeps_to_the_cost_centers_of_their_department(ours: Cast) -> None:
    person = make_user()
    with tenant(ours.organization.pk):
        department = make_department(name="Sales")
        make_member(role=Role.FINANCE, user=person, department=department)
        mine = make_cost_center(code="SALES", department=department)
    browser = Client()
    browser.force_login(person)

    assert browser.get(f"{URL}{ours.key.pk}/").status_code == 404
    assert "OURS key" not in browser.get(URL).text
    foreign = browser.post(f"{URL}new/", {**VALID, "cost_center": str(ours.cost_center.pk)})
    free = browser.post(f"{URL}new/", {**VALID, "cost_center": str(mine.pk)})
    beyond = browser.post(
        f"{URL}new/",
        {**VALID, "cost_center": str(mine.pk), "allowed_cost_centers": "SALES, OURS-CC"},
    )
    bound = browser.post(
        f"{URL}new/",
        {**VALID, "cost_center": str(mine.pk), "is_cost_center_pinned": "on"},
    )

    assert "cost_center" in foreign.context["form"].errors
    assert "is_cost_center_pinned" in free.context["form"].errors
    assert "allowed_cost_centers" in beyond.context["form"].errors
    assert secret_on(bound.text)
    assert "nightly" in browser.get(URL).text


@pytest.mark.parametrize("search", ["OURS", "ours-cc", "tk_live_{kid}", "{kid}"])
def test_the_list_is_searched(ours: Cast, browser: Client, search: str) -> None:
    with tenant(ours.organization.pk):
        make_key(name="other")

    page = browser.get(URL, {"q": search.format(kid=ours.key.kid)}).text

    assert "OURS key" in page
    assert ">other<" not in page


def test_a_long_list_goes_on_on_the_next_page(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        for number in range(60):
            make_key(name=f"key {number:02}")

    with CaptureQueriesContext(connection) as queries:
        first = browser.get(URL)
    second = browser.get(URL + first.context["shelf"].next_url)

    names = [line.key.name for page in (first, second) for line in page.context["shelf"].lines]
    assert names == sorted(names)
    assert len(names) == len(set(names)) == 61
    assert len(queries) <= 12
    assert browser.get(f"{URL}?after=nonsense").context["shelf"].is_first


def test_the_list_says_how_the_keys_stand(ours: Cast, browser: Client) -> None:
    now = timezone.now()
    with tenant(ours.organization.pk):
        make_key(expires_at=now + HOUR)
        make_key(created_at=now - timedelta(days=100))
        make_key(created_at=now - timedelta(days=100), last_used_at=now)
        make_key(revoked_at=now)

    page = browser.get(URL).text

    assert "4 keys work · 1 ends soon · 1 was not used for 90 days" in page


def test_an_empty_list_says_what_to_do(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        ApiKey.objects.update(revoked_at=timezone.now())

    assert "Issue the first key" in browser.get(URL).text
    assert "Finance issues them" in ours.browser("engineer").get(URL).text
    assert "No key is like this" in browser.get(f"{URL}?q=nothing").text


def test_names_of_others_are_text_and_no_markup(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}new/", {**VALID, "name": "<b>bold</b>", "notes": "<script>x</script>"})

    key = stored(ours, name="<b>bold</b>")
    for url in (URL, f"{URL}{key.pk}/", f"{URL}{key.pk}/revoke/", f"{URL}{key.pk}/rotate/"):
        page = browser.get(url).text
        assert "<b>bold" not in page
        assert "<script>x" not in page
