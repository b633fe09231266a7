"""Measure what a stream costs: `python -m benchmarks.streams [--streams 1000] [--unread 100]`.

A gateway process, over servers of its own, carries all streams at once from a provider that speaks a
word every half second. Its memory (RSS) is read after a few calls, with every stream open, and at the
end; then again with clients that read nothing of a provider that hardly stops. Prints the growth per stream and
exits 1 above the aim, or when the books do not balance.
"""

import argparse
import asyncio
import json
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

AIM_KIB = 100  # per stream
UNREAD_KIB = 128  # per client that does not read
WORDS = 40
GAP_S = 0.5
LIMITS = dict.fromkeys(("organization", "cost_center", "api_key"), "100000")


def main(arguments: list[str]) -> int:
    """Measure and report; return 1 when the figure or the books are not as they must be."""
    parser = argparse.ArgumentParser(prog="benchmarks.streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--unread", type=int, default=100)
    asked = parser.parse_args(arguments)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    from tests import servers  # noqa: PLC0415 -- after the environment is set

    with servers.own_servers() as own, tempfile.TemporaryDirectory() as folder:
        os.environ.update(own.environment())
        os.environ["TOLLKEEPER_CONCURRENCY"] = str(asked.streams * 2)
        django.setup()
        return _measured(Path(folder), asked.streams, asked.unread)


def _measured(folder: Path, streams: int, unread: int) -> int:
    """Run provider and gateway, and measure."""
    from benchmarks.gateway import verify  # noqa: PLC0415 -- needs the environment
    from tests.concurrency import processes  # noqa: PLC0415 -- needs Django

    provider = processes.provider(folder / "bill")
    gateway = processes.gateway({"TOLLKEEPER_JOURNAL_DIR": str(folder)}, provider)
    report: dict[str, Any] = {}
    try:
        provider.start()
        world = processes.make_key_world(provider.url, limits=LIMITS)
        crowd = Crowd(gateway.url, world.token, lambda: rss_kib(gateway.pid))
        for measure, count in ((crowd.read, streams), (crowd.leave_unread, unread)):
            gateway.start()
            report |= asyncio.run(measure(count))
            gateway.stop()
        print(json.dumps(report, indent=1))
        breaches = verify(world.organization_id)
    finally:
        gateway.stop()
        provider.kill()
    is_good = report["KiB_per_stream"] <= AIM_KIB and report["KiB_per_unread"] <= UNREAD_KIB
    return 0 if is_good and not breaches else 1


def rss_kib(pid: int) -> int:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


class Crowd:
    """Clients of one gateway, each on a connection of its own."""

    def __init__(self, url: str, token: str, memory: Callable[[], int]) -> None:
        """Keep where to call, as whom, and how the gateway's memory is read."""
        self._port, self._token, self._memory = int(url.rsplit(":", 1)[1]), token, memory

    async def read(self, count: int) -> dict[str, Any]:
        """Return the gateway's memory before, while and after streams are read."""
        before = await self._warm()
        most, whole = await self._run(count, f"@tokens={WORDS} @gap={GAP_S}")
        return {
            "streams": count,
            "whole": whole,
            "before_MiB": round(before / 1024, 1),
            "open_MiB": round(most / 1024, 1),
            "after_MiB": round(self._memory() / 1024, 1),
            "KiB_per_stream": round((most - before) / count, 1),
        }

    async def leave_unread(self, count: int) -> dict[str, Any]:
        """Return the gateway's memory while clients read nothing of 16 MB each."""
        before = await self._warm()
        opened = [await self._opened("@tokens=16000", choices=8) for _ in range(count)]
        await asyncio.sleep(10)
        most = self._memory()
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(5)
        return {"unread": count, "KiB_per_unread": round((most - before) / count, 1)}

    async def _warm(self) -> int:
        """Carry what every process needs once; return its memory then."""
        await self._run(50, "@tokens=20 @gap=0.01")
        return self._memory()

    async def _run(self, count: int, text: str) -> tuple[int, int]:
        """Carry streams at once; return the most memory seen, and how many came to their end."""
        tasks = [asyncio.create_task(self._stream(text)) for _ in range(count)]
        most = 0
        while not all(task.done() for task in tasks):
            most = max(most, self._memory())
            await asyncio.sleep(0.1)
        return most, sum(task.result().endswith(b"[DONE]\n\n\r\n0\r\n\r\n") for task in tasks)

    async def _stream(self, text: str) -> bytes:
        """Read one stream to its end; return its last bytes."""
        reader, writer = await self._opened(text)
        last = b""
        while data := await reader.read(1 << 16):
            last = (last + data)[-64:]
        writer.close()
        return last

    async def _opened(
        self, text: str, *, choices: int = 1
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for one stream, on a socket that takes little that nobody reads."""
        from tests.concurrency.processes import chat  # noqa: PLC0415 -- needs Django

        asked = {**chat(text, stream=True, max_tokens=16_000), "n": choices}
        body = json.dumps(asked).encode()
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        client.setblocking(False)  # noqa: FBT003  the library's own
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=client, limit=1 << 12)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n"
            b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
            % (self._token.encode(), len(body), body)
        )
        return reader, writer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
