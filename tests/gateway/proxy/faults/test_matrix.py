"""The fault matrix through a running gateway: no fault of a provider becomes one of ours."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.faulty import Faulty
from tests.gateway.proxy.faults import cases, recordings
from tests.gateway.proxy.faults.cases import Case
from tests.gateway.proxy.faults.conftest import Play
from tests.gateway.proxy.faults.recordings import Recording
from tests.gateway.proxy.faults.stage import Answer, Stage, make_upstreams
from tests.gateway.running import House, aside, free_port


@pytest.fixture
async def untrusted(tmp_path: Path) -> AsyncIterator[int]:
    """Give the port of a server whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(tmp_path / "server.pem"))
    faulty, port = Faulty(recordings.answer, tls=context), free_port()
    await faulty.start(port)
    yield port
    await faulty.stop()
    assert faulty.heard == []


def make_certificate(path: Path) -> Path:
    """Write a key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    end = begin + timedelta(36500)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


async def make_ways(house: House, *, refused: int, untrusted: int) -> None:
    """Add upstreams that cannot be reached, that are impatient, that bill errors."""
    local = "127.0.0.1"
    ways: dict[str, dict[str, Any]] = {
        "refused-": {"base_url": f"http://{local}:{refused}"},
        "nameless-": {"base_url": "https://name.invalid"},
        "untrusted-": {"base_url": f"https://{local}:{untrusted}"},
        "plain-": {"base_url": f"https://{local}:{house.port}", "connect_timeout_s": 1},
        "hasty-": {"idle_timeout_s": 1, "total_timeout_s": 2},
        "stranger-": {"is_error_unbilled": False},
    }
    for way, columns in ways.items():
        await aside(make_upstreams, house=house, way=way, **columns)


@pytest.mark.parametrize("recording", recordings.ALL, ids=lambda recording: recording.label)
async def test_no_fault_of_a_provider_becomes_one_of_ours(
    house: House, patient: None, play: Play, untrusted: int, recording: Recording
) -> None:
    refused = free_port()
    await make_ways(house, refused=refused, untrusted=untrusted)
    egress = (f"127.0.0.1:{refused}", f"127.0.0.1:{untrusted}", "name.invalid:443")
    todo = list(cases.every(recording))

    async with play(house, egress=egress) as stage:
        answers = await asyncio.gather(*[_ask(stage, recording, case) for case in todo])
        records = await stage.records()
        await stage.verify()
        heard = stage.faulty.heard
    assert not any("meta-data" in request.path for request in heard)  # no redirect was followed
    assert len(records) == len(todo)
    sent = Counter(request.wishes["case"] for request in heard)
    for case, answer in zip(todo, answers, strict=True):
        assert answer.is_whole, case
        found = (*_told(recording, case, answer), sent[_label(case)], *_booked(records[answer.id]))
        assert (_label(case), *found) == (_label(case), *_expected(case))


async def _ask(stage: Stage, recording: Recording, case: Case) -> Answer:
    text = f"{case.wish} @case={_label(case)}"
    return await stage.ask(recording, text, is_stream=case.is_stream, way=case.way)


def _label(case: Case) -> str:
    return f"{case.name}-{int(case.is_stream)}".replace(" ", ".")


def _told(recording: Recording, case: Case, answer: Answer) -> tuple[int, str, str | None]:
    """Return status, code and wait that the client was told; inside a stream, that it was told."""
    code = answer.code(recording.dialect) if answer.status >= 400 else ""
    if answer.status == 200 and case.code and (b'error"' in answer.body or recording.is_array):
        code = case.code  # an array has no words for it: its bracket is missing
    return answer.status, code, answer.headers.get("retry-after") if case.after else None


def _booked(record: dict[str, Any]) -> tuple[str, str, bool, bool]:
    """Return how a call ended, what its cost is, and whether the figures can be."""
    cost, hold = record["cost"] or 0, record["hold_amount"]
    is_sane = 0 < cost <= hold if record["state"] == "settled" else cost == 0
    return record["state"], record["cost_source"] or "", record["is_estimated"], is_sane


def _expected(case: Case) -> tuple[object, ...]:
    told = (case.status, case.code, case.after)
    return (*told, case.sent, case.state, case.source, case.source == "count", True)
