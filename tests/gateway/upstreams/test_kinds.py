"""Every kind of upstream has an address and a credential header."""

import pytest

from attribution.outbound.addresses import AddressError, Origin
from gateway.upstreams import kinds
from gateway.upstreams.models import UpstreamKind


def test_every_kind_of_the_model_is_described() -> None:
    assert set(kinds.KINDS) == set(UpstreamKind.values)


def test_an_address_is_origin_and_path() -> None:
    assert kinds.address("openai", "") == (Origin("https", "api.openai.com", 443), "/v1")
    found = kinds.address("openai_compatible", "http://127.0.0.1:8080/v1/")
    assert found == (Origin("http", "127.0.0.1", 8080), "/v1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://a.example/#x",
        "https://a.example?x=1",
        "https://a.example:99999",
        "nonsense",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        kinds.address("openai_compatible", url)


def test_a_credential_travels_in_the_header_of_its_kind() -> None:
    assert kinds.KINDS["openai"].credential("sk") == [(b"authorization", b"Bearer sk")]
    assert kinds.KINDS["azure_openai"].credential("sk") == [(b"api-key", b"sk")]
