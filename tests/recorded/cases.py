"""The recorded provider responses and what each demands; absent data is a visible skip."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

Case = dict[str, Any]


def folder() -> Path:
    """Return the folder of the recorded data: TOLLKEEPER_DATA, by default beside the project."""
    return Path(os.environ.get("TOLLKEEPER_DATA", ROOT / ".." / "shared" / "data")).resolve()


@cache
def manifest() -> tuple[Case, ...]:
    """Return all recorded cases, or none where the data is absent."""
    path = folder() / "cassettes" / "manifest.json"
    return tuple(json.loads(path.read_text())["cases"]) if path.exists() else ()


def load(case: Case) -> Case:
    """Return the request and response of a case."""
    loaded: Case = json.loads((folder() / "cassettes" / case["file"]).read_text())
    return loaded


def parameters(*kinds: str) -> list[Any]:
    """Return the cases of these kinds as test parameters; one skipped one without the data."""
    if not manifest():
        reason = f"no recorded responses: TOLLKEEPER_DATA is {folder()}"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="no-recorded-data")]
    cases = [case for case in manifest() if case["expect"]["kind"] in kinds]
    return [pytest.param(case, id=case["id"]) for case in cases]
