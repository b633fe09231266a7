"""Only public addresses are reached, and what the operator named."""

import pytest

from attribution.outbound.addresses import (
    NO_EXCEPTIONS,
    AddressError,
    Exceptions,
    Origin,
    allowed,
    check_addresses,
    check_origin,
)

PUBLIC = Origin("https", "api.openai.com", 443)
LOCAL = Origin("http", "127.0.0.1", 4010)
ENTRY = Exceptions(["127.0.0.1:4010", "[::1]:8080"])


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_reached(text: str) -> None:
    assert allowed(text)


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "0.0.0.1", "10.1.2.3", "100.64.0.1", "169.254.169.254", "172.16.0.1"),
        *("172.31.255.255", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
        *("192.0.0.8", "192.0.2.1", "192.88.99.1", "198.51.100.1", "203.0.113.1", "240.0.0.1"),
        *("::", "::1", "::ffff:8.8.8.8", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1"),
        *("2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00::1"),
        *("ff02::1", "100::1", "5f00::1"),
    ],
)
def test_every_other_address_is_refused(text: str) -> None:
    assert not allowed(text)


@pytest.mark.parametrize(
    "origin",
    [
        Origin("http", "api.openai.com", 443),
        Origin("https", "api.openai.com", 8443),
        Origin("http", "127.0.0.1", 4011),
        Origin("http", "127.0.0.2", 4010),
    ],
)
def test_only_https_on_its_port_or_an_exact_entry_is_called(origin: Origin) -> None:
    with pytest.raises(AddressError):
        check_origin(origin, ENTRY)


def test_an_entry_permits_http_and_its_own_private_address() -> None:
    check_origin(PUBLIC, NO_EXCEPTIONS)
    check_origin(LOCAL, ENTRY)
    check_addresses(LOCAL, ["127.0.0.1"], ENTRY)
    check_addresses(Origin("http", "::1", 8080), ["::1"], ENTRY)


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    check_addresses(PUBLIC, ["8.8.8.8", "2606:4700::1111"], NO_EXCEPTIONS)

    with pytest.raises(AddressError):
        check_addresses(PUBLIC, ["8.8.8.8", "10.0.0.1"], NO_EXCEPTIONS)
    with pytest.raises(AddressError):
        check_addresses(PUBLIC, [], NO_EXCEPTIONS)


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"]
)
def test_metadata_services_are_refused_even_to_the_operator(text: str) -> None:
    origin = Origin("http", "metadata", 80)

    with pytest.raises(AddressError):
        check_addresses(origin, [text], Exceptions(["metadata:80"]))


@pytest.mark.parametrize("entry", ["", "127.0.0.1", "host:", ":80", "host:0", "host:x", "h:70000"])
def test_a_malformed_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Exceptions([entry])


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (PUBLIC, "api.openai.com"),
        (LOCAL, "127.0.0.1:4010"),
        (Origin("http", "::1", 80), "[::1]"),
        (Origin("https", "h", 80), "h:80"),
    ],
)
def test_the_host_header_names_the_port_only_where_it_is_unusual(
    origin: Origin, authority: str
) -> None:
    assert origin.authority == authority
