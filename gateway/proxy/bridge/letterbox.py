"""The letterbox of upstream tests: pages put them into PostgreSQL, a gateway takes and answers them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.proxy.bridge.pool import Pool

PROBE = "SELECT gateway_probe(%s::jsonb)::text"


class ProbeRow(msgspec.Struct):
    """A test of an upstream that waits."""

    id: str
    organization_id: str
    upstream_id: str
    kind: str
    base_url: str
    version: int
    sealed: str | None = None


async def exchange(
    pool: Pool, answers: Sequence[Mapping[str, Any]], resting: Sequence[str]
) -> list[ProbeRow]:
    """Answer tests, tell which upstreams are left alone, take the tests that wait."""
    told = {"answers": answers, "resting": resting}
    return msgspec.json.decode(await pool.ask(PROBE, told), type=list[ProbeRow])
