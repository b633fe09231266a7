"""Provider credentials, opened in the gateway only and kept by version."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.routes.targets import Upstream
from gateway.upstreams import envelope
from gateway.upstreams.envelope import EnvelopeError
from gateway.upstreams.kinds import Headers

Writer = Callable[[str], Headers]
Name = tuple[str, Writer]


class Credentials:
    """The credential headers of upstreams, asked for once per version and way of writing them."""

    def __init__(self, lookup: Lookup, private: X25519PrivateKey | None) -> None:
        """Keep the key that opens; without it only upstreams that need no credential work."""
        self._lookup, self._private = lookup, private
        self._headers: dict[Name, tuple[int, Headers]] = {}
        self._opening: dict[tuple[Name, int], asyncio.Task[Headers]] = {}

    async def headers(self, organization_id: str, upstream: Upstream) -> Headers:
        """Return the headers that carry the credential; raise EnvelopeError when there is none."""
        row = upstream.row
        name = (row.id, upstream.speech.credential)
        known = self._headers.get(name)
        if known is None or known[0] != row.credential_version:
            found = await self._once((name, row.credential_version), organization_id, upstream)
            known = self._headers[name] = (row.credential_version, found)
        return known[1]

    async def _once(
        self, name: tuple[Name, int], organization_id: str, upstream: Upstream
    ) -> Headers:
        """Ask, or join who asks already: the first calls of a process come together."""
        task = self._opening.get(name)
        if task is None:
            task = asyncio.ensure_future(self._opened(organization_id, upstream))
            self._opening[name] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        return await asyncio.shield(task)

    def _ended(self, name: tuple[Name, int], task: "asyncio.Task[Headers]") -> None:
        self._opening.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits meets it

    async def _opened(self, organization_id: str, upstream: Upstream) -> Headers:
        row, kind = upstream.row, upstream.kind
        try:
            found = await self._lookup.secret(organization_id, row.id)
        except (LedgerUnavailableError, QuestionError) as error:
            raise EnvelopeError("the credential cannot be read now") from error
        if found is None or found.sealed is None:
            if kind.needs_credential:
                raise EnvelopeError("the upstream has no credential")
            return []
        if self._private is None:
            raise EnvelopeError("this gateway has no TOLLKEEPER_WRAP_KEY")
        owner, place = UUID(organization_id), UUID(row.id)
        associated = envelope.bound_to(owner, place, upstream.origin, found.version)
        secret = envelope.unseal(bytes.fromhex(found.sealed), self._private, associated=associated)
        return upstream.speech.credential(secret)
