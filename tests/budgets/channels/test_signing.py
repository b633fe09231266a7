"""Signatures are those of Standard Webhooks, to the byte."""

import base64
from datetime import UTC, datetime

import pytest

from budgets.channels import signing
from budgets.channels.signing import SigningSecretError

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330


def test_the_example_of_the_specification_is_signed_as_there() -> None:
    at = datetime.fromtimestamp(STAMP, UTC)

    headers = signing.headers(MESSAGE, BODY, secrets=[SECRET], at=at)

    assert headers == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_two_secrets_are_in_force_both_sign() -> None:
    other = f"whsec_{base64.b64encode(b'x' * 32).decode()}"
    at = datetime.fromtimestamp(STAMP, UTC)

    signature = signing.headers(MESSAGE, BODY, secrets=[other, SECRET], at=at)["webhook-signature"]

    first, second = signature.split(" ")
    assert first == signing.sign(MESSAGE, str(STAMP), BODY, other)
    assert second == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whsec_!!!!", "whsec_AAAA"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(SigningSecretError):
        signing.key(secret)
