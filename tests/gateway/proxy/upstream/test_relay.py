"""The queue between a stream's two sides: nothing is lost, nothing piles up."""

import asyncio

from gateway.proxy.upstream.relay import QUEUE, Relay


async def test_what_is_put_comes_out_in_order_and_then_ends() -> None:
    relay = Relay()
    await relay.put(b"a")
    await relay.put(b"")
    await relay.put(b"b")
    relay.end()

    assert b"".join([part async for part in relay]) == b"ab"


async def test_a_writer_waits_for_a_reader_that_is_behind() -> None:
    relay = Relay()
    writing = asyncio.create_task(relay.put(b"x" * (QUEUE + 1)))
    await asyncio.sleep(0.01)
    was_waiting = not writing.done()

    assert len(await anext(relay)) == QUEUE + 1
    await writing
    assert was_waiting


async def test_a_reader_that_leaves_frees_the_writer_and_drops_what_waits() -> None:
    relay = Relay()
    writing = asyncio.create_task(relay.put(b"x" * (QUEUE + 1)))
    await asyncio.sleep(0.01)
    relay.leave()
    await writing
    await relay.put(b"more")
    relay.end()

    assert [part async for part in relay] == []
