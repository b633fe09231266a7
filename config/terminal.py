"""What the supervisor tells the person at the terminal."""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def say(text: str) -> None:
    """Tell the person something."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show a step while it lasts, and how long it took."""
    started = time.monotonic()
    sys.stdout.write(f"{title} … ")
    sys.stdout.flush()
    yield
    say(f"{time.monotonic() - started:.1f} s")


def introduction(origin: str, seed: dict[str, Any]) -> str:
    """Say where the instance is, who may enter, and a call that works at once."""
    lines = ["", f"Tollkeeper is ready: {origin}   (Ctrl-C stops it)", ""]
    lines += [
        f"  {login['role']:<10}{login['email']:<32}{login['password']}"
        for login in seed.get("logins", [])
        if login["organization"] == seed.get("organization")
    ]
    if key := seed.get("api_key"):
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]})
        lines += ["", f"  API key   {key}", "", f"  curl {origin}/v1/chat/completions \\"]
        lines += [f'    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\']
        lines += ['    -H "X-Cost-Center: MARKETING" \\', f"    -d {shlex.quote(body)}", ""]
    return "\n".join(lines)
