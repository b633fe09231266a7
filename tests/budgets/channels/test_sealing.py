"""A channel's secret opens for its own channel and column only, and survives a new instance secret."""

import uuid

import pytest

from budgets.channels import sealing, signing
from budgets.channels.sealing import SealError

ORGANIZATION, CHANNEL = uuid.uuid4(), uuid.uuid4()
PLACE = sealing.bound_to(ORGANIZATION, CHANNEL, "address")
SECRET = "https://hooks.example.com/services/T0/B0/very-secret"


def test_what_was_sealed_opens_again_and_shows_nothing_meanwhile() -> None:
    sealed = sealing.seal(SECRET, "instance", associated=PLACE)

    assert sealing.unseal(sealed, ["instance"], associated=PLACE) == SECRET
    assert b"hooks.example.com" not in sealed
    assert sealed != sealing.seal(SECRET, "instance", associated=PLACE)


def test_an_older_instance_secret_still_opens_it() -> None:
    sealed = sealing.seal(SECRET, "old", associated=PLACE)

    assert sealing.unseal(sealed, ["new", "old"], associated=PLACE) == SECRET


@pytest.mark.parametrize(
    "place",
    [
        sealing.bound_to(ORGANIZATION, CHANNEL, "secret"),
        sealing.bound_to(ORGANIZATION, uuid.uuid4(), "address"),
        sealing.bound_to(uuid.uuid4(), CHANNEL, "address"),
    ],
)
def test_moved_elsewhere_it_does_not_open(place: bytes) -> None:
    sealed = sealing.seal(SECRET, "instance", associated=PLACE)

    with pytest.raises(SealError):
        sealing.unseal(sealed, ["instance"], associated=place)


@pytest.mark.parametrize("damage", [b"", b"\x02" + b"x" * 60, b"\x01" + b"x" * 60])
def test_damage_and_other_secrets_are_told(damage: bytes) -> None:
    with pytest.raises(SealError):
        sealing.unseal(damage, ["instance"], associated=PLACE)
    with pytest.raises(SealError):
        sealing.unseal(sealing.seal(SECRET, "a", associated=PLACE), ["b"], associated=PLACE)


def test_a_minted_secret_signs() -> None:
    assert sealing.mint().startswith("whsec_")
    assert len(signing.key(sealing.mint())) == 32
