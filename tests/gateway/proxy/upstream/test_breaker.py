"""An upstream that keeps failing is left alone, then probed by one call."""

from gateway.proxy.upstream.breaker import FAILURES, REST, Breakers


def test_failures_in_a_row_open_and_one_probe_closes() -> None:
    breaker = Breakers()["a"]

    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    assert breaker.allows(0.0)
    breaker.failed(1.0)

    assert not breaker.allows(REST)
    assert breaker.is_open(REST)
    assert breaker.allows(1.0 + REST)
    assert not breaker.allows(1.0 + REST)
    breaker.succeeded()
    assert breaker.allows(1.0 + REST)


def test_a_failed_probe_rests_again() -> None:
    breaker = Breakers()["a"]
    for _ in range(FAILURES):
        breaker.failed(0.0)

    assert breaker.allows(REST)
    breaker.failed(REST)

    assert not breaker.allows(2 * REST - 1)


def test_a_success_between_failures_starts_anew() -> None:
    breakers = Breakers()

    for _ in range(FAILURES - 1):
        breakers["a"].failed(0.0)
    breakers["a"].succeeded()
    breakers["a"].failed(0.0)

    assert breakers["a"].allows(0.0)
    assert breakers["b"].allows(0.0)
