"""Tests of upstreams that people asked for: carried out here, where the credentials open."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attribution.outbound.addresses import AddressError, Exceptions
from gateway.proxy.bridge import letterbox
from gateway.proxy.bridge.letterbox import ProbeRow
from gateway.proxy.bridge.pool import Pool
from gateway.proxy.upstream.client import Request
from gateway.proxy.upstream.connection import Deadlines, UpstreamError
from gateway.proxy.upstream.sending import Courier
from gateway.upstreams import envelope, kinds, probing
from gateway.upstreams.envelope import EnvelopeError
from gateway.upstreams.kinds import KINDS
from gateway.upstreams.probing import Finding

logger = logging.getLogger(__name__)

EVERY = 2.0  # seconds between two looks for tests that wait
DEADLINES = Deadlines(connect=5.0, idle=10.0, total=15.0)
BODY = 1 << 20  # the longest lists of models have some hundred kilobytes


class Probes:
    """Takes tests, asks the upstreams through the same client as calls, tells what was found."""

    def __init__(
        self,
        pool: Pool,
        courier: Courier,
        *,
        private: X25519PrivateKey | None,
        exceptions: Exceptions,
    ) -> None:
        """Keep what calls are made with."""
        self._pool, self._courier = pool, courier
        self._private, self._exceptions = private, exceptions

    async def work(self) -> None:
        """Carry out the tests that wait, and tell which upstreams are left alone."""
        answers: Sequence[Mapping[str, Any]] = ()
        breakers = self._courier.breakers
        while rows := await letterbox.exchange(self._pool, answers, breakers.resting()):
            answers = await asyncio.gather(*(self._found(row) for row in rows))

    async def _found(self, row: ProbeRow) -> Mapping[str, Any]:
        try:
            finding = Finding() if row.kind == "demo" else await self._ask(row)
        except (EnvelopeError, UpstreamError, AddressError) as error:
            logger.warning(
                "upstream.probe", extra={"upstream": row.upstream_id, "code": error.code}
            )
            finding = Finding(error.code)
        except ValueError:  # an address or a credential that no request can carry
            finding = Finding("not_sendable")
        return {"organization_id": row.organization_id, "id": row.id, **asdict(finding)}

    async def _ask(self, row: ProbeRow) -> Finding:
        secret = self._secret(row)
        asked = probing.question(row.kind, row.base_url, secret)
        request = Request(
            asked.origin, asked.path, asked.headers, b"", method="GET", deadlines=DEADLINES
        )
        began = time.monotonic()
        response = await self._courier.client.open(request)
        try:
            body = await response.read(BODY)
        finally:
            response.close()
        return probing.finding(
            row.kind,
            response.status,
            body,
            latency_ms=round((time.monotonic() - began) * 1000),
            secret=secret,
            is_known=probing.is_known(asked.origin, self._exceptions),
        )

    def _secret(self, row: ProbeRow) -> str | None:
        """Open the credential for the address it is bound to."""
        if row.sealed is None:
            if KINDS[row.kind].needs_credential:
                raise EnvelopeError("the upstream has no credential")
            return None
        if self._private is None:
            raise EnvelopeError("this gateway has no TOLLKEEPER_WRAP_KEY")
        origin, _path = kinds.address(row.kind, row.base_url)
        owner, place = UUID(row.organization_id), UUID(row.upstream_id)
        associated = envelope.bound_to(owner, place, origin, row.version)
        return envelope.unseal(bytes.fromhex(row.sealed), self._private, associated=associated)
