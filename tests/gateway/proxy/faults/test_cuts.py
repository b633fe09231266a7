"""An answer cut at every byte: told to the client, booked once, exact where the usage was read."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.framing import EVENTS, JSON, chunked, head
from tests.gateway.proxy.faults import recordings
from tests.gateway.proxy.faults.conftest import Play
from tests.gateway.proxy.faults.recordings import Recording
from tests.gateway.proxy.faults.stage import Answer, Stage
from tests.gateway.running import House

AT_ONCE = 50


@dataclass(frozen=True)
class Cut:
    """One place where an answer is cut."""

    recording: Recording
    is_stream: bool
    at: int

    @property
    def name(self) -> str:
        """Return the name that the provider hears."""
        return f"{self.recording.label}-{int(self.is_stream)}-{self.at}"

    @property
    def arrived(self) -> bytes | None:
        """Return the body that arrives; None while the head is not complete."""
        top, body = self.wire()
        if self.at < len(top):
            return None
        rest, found = body[: self.at - len(top)], b""
        if not self.is_stream:
            return rest
        while b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            found += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return found

    def wire(self) -> tuple[bytes, bytes]:
        """Return head and body as they stand on the wire."""
        body = self.recording.stream if self.is_stream else self.recording.whole
        if not self.is_stream:
            return head(200, JSON, length=len(body)), body
        kind = EVENTS if body.startswith((b"data:", b"event:")) else JSON
        return head(200, kind), chunked(body)


def cuts(recording: Recording, *, is_stream: bool, with_head: bool) -> Iterator[Cut]:
    """Return every place where an answer can be cut; heads are the same in all formats."""
    top, body = Cut(recording, is_stream, 0).wire()
    for at in range(0 if with_head else len(top), len(top) + len(body) + 1):
        yield Cut(recording, is_stream, at)


@pytest.mark.parametrize("recording", recordings.ALL, ids=lambda recording: recording.label)
async def test_an_answer_cut_at_any_byte_is_told_and_booked_once(
    house: House, patient: None, play: Play, recording: Recording
) -> None:
    todo = [
        *cuts(recording, is_stream=False, with_head=recording is recordings.CHAT),
        *(cuts(recording, is_stream=True, with_head=False) if recording.stream else ()),
    ]
    gate = asyncio.Semaphore(AT_ONCE)

    async with play(house) as stage:
        answers = await asyncio.gather(*[_ask(stage, cut, gate) for cut in todo])
        records = await stage.records()
        await stage.verify()

        heard = [request.wishes["case"] for request in stage.faulty.heard]
        assert sorted(heard) == sorted(cut.name for cut in todo)  # each was sent once
    assert len(records) == len(todo)
    for cut, answer in zip(todo, answers, strict=True):
        assert answer.is_whole, cut.name
        assert (cut.name, *_found(cut, answer, records[answer.id])) == (cut.name, *_expected(cut))


async def _ask(stage: Stage, cut: Cut, gate: asyncio.Semaphore) -> Answer:
    async with gate:
        text = f"@fault=cut @at={cut.at} @reset={int(cut.at % 5 == 0)} @case={cut.name}"
        return await stage.ask(cut.recording, text, is_stream=cut.is_stream)


def _expected(cut: Cut) -> tuple[int, bool, str, str]:
    """Return status, whether the client must be told, state and source of the cost."""
    arrived, recording = cut.arrived, cut.recording
    if not cut.is_stream and arrived == recording.whole:
        return 200, False, "settled", "usage"
    if not cut.is_stream or arrived is None:
        return 502, True, "uncertain", "bound"
    if recording.told in arrived:
        return 200, False, "settled", "usage"
    return 200, not recording.is_array, "settled", "count"


def _found(cut: Cut, answer: Answer, record: dict[str, Any]) -> tuple[int, bool, str, str]:
    """Return the same of what happened; what cannot be is no state at all."""
    *_, is_told, _, source = _expected(cut)
    if answer.status == 502:
        is_told = answer.code(cut.recording.dialect) == "upstream_error"
    elif is_told:
        is_told = b'error"' in answer.body
    state, cost = record["state"], record["cost"] or 0
    if source == "usage" and cost != Decimal(cut.recording.cost):
        state = f"exact, but at {cost}"
    if source == "count" and not (record["is_estimated"] and 0 < cost <= record["hold_amount"]):
        state = f"counted, but at {cost}"
    return answer.status, is_told, state, record["cost_source"]
