"""The pages of upstreams: credentials go in and never come out, tests are asked for and shown."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream, UpstreamProbe
from tests.cast import Cast
from tests.factories import make_department, make_member, make_route, make_upstream, make_user

URL = "/upstreams/"
SECRET = "sk-canary-0123456789"
VALID = {
    "name": "OpenAI",
    "kind": "openai",
    "base_url": "",
    "credential": SECRET,
    "discount_percent": "12.5",
    "markup_percent": "0",
    "connect_timeout_s": "5",
    "idle_timeout_s": "60",
    "total_timeout_s": "600",
    "is_active": "on",
}


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give the owner's browser."""
    return ours.browser("owner")


def stored(ours: Cast, name: str = "OpenAI") -> Upstream:
    with tenant(ours.organization.pk):
        return Upstream.objects.get(name=name)


def opened(ours: Cast, upstream: Upstream) -> str:
    """Return the credential as a gateway reads it."""
    origin, _path = kinds.address(upstream.kind, upstream.base_url)
    owner, version = ours.organization.pk, upstream.credential_version
    associated = envelope.bound_to(owner, upstream.pk, origin, version)
    private = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY)
    return envelope.unseal(bytes(upstream.credential_sealed or b""), private, associated=associated)


def answered(ours: Cast, **columns: object) -> None:
    """Note what a gateway found for our upstream."""
    with tenant(ours.organization.pk):
        UpstreamProbe.objects.update_or_create(
            upstream=ours.upstream,
            defaults={"asked_at": timezone.now(), "answered_at": timezone.now(), **columns},
        )


def test_an_upstream_is_added_and_its_credential_never_shown(ours: Cast, browser: Client) -> None:
    answer = browser.post(f"{URL}new/", VALID)

    upstream = stored(ours)
    assert answer["Location"] == f"{URL}{upstream.pk}/"
    assert opened(ours, upstream) == SECRET
    assert upstream.price_multiplier == Decimal("0.875")
    for url in (URL, f"{URL}{upstream.pk}/", f"{URL}{upstream.pk}/change/"):
        page = browser.get(url).text
        assert SECRET not in page
        assert "6789" in page or url.endswith("change/")


def test_pages_seal_without_the_key_that_opens(
    ours: Cast, browser: Client, settings: Settings
) -> None:
    private = settings.TOLLKEEPER_WRAP_KEY
    settings.TOLLKEEPER_WRAP_PUBLIC_KEY = envelope.encoded(envelope.sealing_key("", private))
    settings.TOLLKEEPER_WRAP_KEY = ""

    browser.post(f"{URL}new/", VALID)

    settings.TOLLKEEPER_WRAP_KEY = private
    assert opened(ours, stored(ours)) == SECRET


def test_another_credential_takes_the_place_of_the_old_one(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}new/", VALID)
    before = stored(ours)
    with tenant(ours.organization.pk):
        epoch = Organization.objects.get().policy_epoch

    browser.post(f"{URL}{before.pk}/credential/", {"credential": "sk-other-0123456789"})

    after = stored(ours)
    assert opened(ours, after) == "sk-other-0123456789"
    assert after.credential_version == before.credential_version + 1
    with tenant(ours.organization.pk):
        assert Organization.objects.get().policy_epoch > epoch
        entry = AuditEntry.objects.filter(action="upstream.resealed").get()
    assert "sk-other" not in str(entry.changes)


def test_a_change_keeps_the_credential_and_another_address_asks_for_it(
    ours: Cast, browser: Client
) -> None:
    browser.post(f"{URL}new/", VALID)
    url = f"{URL}{stored(ours).pk}/change/"

    kept = browser.post(url, {**VALID, "credential": "", "discount_percent": "20"})
    moved = browser.post(
        url, {**VALID, "credential": "", "base_url": "https://proxy.example.com/v1"}
    )

    assert kept.status_code == 302
    assert opened(ours, stored(ours)) == SECRET
    assert stored(ours).discount_percent == 20
    assert list(moved.context["form"].errors) == ["credential"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"base_url": "http://api.openai.com/v1"}, "base_url"),
        ({"base_url": "https://api.openai.com:8443/v1"}, "base_url"),
        ({"base_url": "https://user:word@api.openai.com/v1"}, "base_url"),
        ({"base_url": "https://10.0.0.1/v1"}, "base_url"),
        ({"base_url": "https://127.0.0.1/v1"}, "base_url"),
        ({"base_url": "https://[::ffff:127.0.0.1]/v1"}, "base_url"),
        ({"base_url": "https://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "http://vllm:8000/v1"}, "base_url"),
        ({"base_url": "ftp://models.example.com"}, "base_url"),
        ({"base_url": "https://api.example.com/v1?key=1"}, "base_url"),
        ({"base_url": "nonsense"}, "base_url"),
        ({"kind": "azure_openai"}, "base_url"),
        ({"credential": ""}, "credential"),
        ({"credential": "sk-\r\nx-evil: 1"}, "credential"),
        ({"credential": "clé"}, "credential"),
        ({"name": ""}, "name"),
        ({"discount_percent": "101"}, "discount_percent"),
    ],
)
def test_a_wrong_form_says_where_and_saves_nothing(
    ours: Cast, browser: Client, wrong: dict[str, str], field: str
) -> None:
    answer = browser.post(f"{URL}new/", {**VALID, **wrong})

    assert list(answer.context["form"].errors) == [field]
    assert SECRET not in answer.text
    with tenant(ours.organization.pk):
        assert not Upstream.objects.filter(name="OpenAI").exists()


@pytest.mark.parametrize("address", ["http://vllm:8000/v1", "http://10.0.0.5:8000/v1"])
def test_the_operator_permits_names_without_a_dot_and_private_addresses(
    ours: Cast, browser: Client, settings: Settings, address: str
) -> None:
    settings.TOLLKEEPER_EGRESS_ALLOW = ["vllm:8000", "10.0.0.5:8000"]
    form = {**VALID, "kind": "openai_compatible", "base_url": address, "credential": ""}

    for url in (f"{URL}new/", "/admin/gateway/upstream/add/"):
        answer = browser.post(url, {**form, "name": url})
        assert answer.status_code == 302
        assert stored(ours, url).base_url == address


def test_a_test_is_asked_for_once_in_a_while_and_audited(ours: Cast, browser: Client) -> None:
    url = f"{URL}{ours.upstream.pk}/"

    browser.post(f"{url}test/")
    again = browser.post(f"{url}test/", follow=True)

    assert "Tested a moment ago" in again.text
    with tenant(ours.organization.pk):
        probe = UpstreamProbe.objects.get()
        assert AuditEntry.objects.filter(action="upstream.tested").count() == 1
    assert probe.asked_by_id == ours.person("owner").pk
    waiting = browser.get(f"{url}test/").text
    assert "hx-get" in waiting
    assert "A gateway is asking." in waiting


def test_an_organization_tests_ten_times_a_minute(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        upstreams = [make_upstream() for _ in range(11)]

    for upstream in upstreams:
        browser.post(f"{URL}{upstream.pk}/test/")

    with tenant(ours.organization.pk):
        assert UpstreamProbe.objects.count() == 10


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ({"http_status": 200, "latency_ms": 42, "model_count": 7}, "42 ms"),
        ({"code": "credential_refused", "http_status": 401, "quote": "<b>no</b>"}, "&lt;b&gt;no"),
        ({"code": "upstream_unreachable"}, "It cannot be reached"),
        ({"code": "unheard_of"}, "It answers with an error."),
    ],
)
def test_what_a_test_found_is_shown(
    ours: Cast, browser: Client, found: dict[str, object], shown: str
) -> None:
    answered(ours, **found)

    for url in (f"{URL}{ours.upstream.pk}/", f"{URL}{ours.upstream.pk}/test/"):
        page = browser.get(url).text
        assert shown in page
        assert "<b>no" not in page
        assert "every 1s" not in page


def test_a_test_that_nobody_took_says_so(ours: Cast, browser: Client) -> None:
    answered(ours, asked_at=timezone.now() - timedelta(minutes=2), answered_at=None)

    assert "is one running?" in browser.get(f"{URL}{ours.upstream.pk}/").text


def test_the_list_says_how_each_stands_within_a_query_budget(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        resting = make_upstream(name="resting", rested_at=timezone.now())
        make_upstream(name="bare", kind="openai")
        make_upstream(name="switched", is_active=False)
        for number in range(20):
            make_route(name=f"route-{number}", upstream=resting)

    with CaptureQueriesContext(connection) as queries:
        page = browser.get(URL).text

    words = ("keeps failing", "no credential", "switched off", "route-19", "OURS-route")
    for word in (*words, "3 of 4 active · look at: bare, resting"):
        assert word in page
    assert len(queries) <= 15  # blocks and messages stand above every page


def test_an_empty_list_says_what_to_do(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        Upstream.objects.update(archived_at=timezone.now())

    assert "Add the first upstream" in browser.get(URL).text
    assert "Add the first" not in ours.browser("auditor").get(URL).text


def test_somebody_narrowed_to_a_department_sees_no_upstream(ours: Cast) -> None:
    person = make_user()
    with tenant(ours.organization.pk):
        make_member(role=Role.OWNER, user=person, department=make_department())
    browser = Client()
    browser.force_login(person)

    assert "OURS upstream" not in browser.get(URL).text
    assert browser.get(f"{URL}{ours.upstream.pk}/").status_code == 404
    assert browser.post(f"{URL}{ours.upstream.pk}/test/").status_code == 404


def test_finance_looks_and_does_not_touch(ours: Cast) -> None:
    browser, url = ours.browser("finance"), f"{URL}{ours.upstream.pk}/"

    page = browser.get(url).text

    assert "Test now" not in page
    assert "Replace the credential" not in page
    for verb in ("change", "credential", "test"):
        assert browser.post(f"{url}{verb}/", VALID).status_code == 403
    assert ours.browser("engineer").get(URL).status_code == 403
