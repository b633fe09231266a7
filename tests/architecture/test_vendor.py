"""Vendored files are the published ones: version, licence and SHA-384 stand beside them."""

import base64
import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
VENDOR = STATIC / "vendor"
PACKAGES = sorted(path for path in VENDOR.iterdir() if path.is_dir())


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha384(content).digest()).decode()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_vendored_package_says_what_it_is(package: Path) -> None:
    record = tomllib.loads((package / "VENDOR.toml").read_text())

    assert (
        package.name == f"{record['name'].replace('.', '').removesuffix('org')}-{record['version']}"
    )
    assert record["licence"]
    assert record["source"] == f"npm: {record['name']}@{record['version']}"
    assert (package / record["licence_file"]).stat().st_size > 0


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_vendored_file_is_byte_for_byte_the_recorded_one(package: Path) -> None:
    record = tomllib.loads((package / "VENDOR.toml").read_text())
    known = {"VENDOR.toml", record["licence_file"], *record["files"]}

    assert {path.name for path in package.iterdir()} == known
    for name, file in record["files"].items():
        content = (package / name).read_bytes()
        assert digest(content) == file["sha384"]
        assert digest(content + file["removed_tail"].encode()) == file["origin_sha384"]


def test_what_a_page_loads_is_light() -> None:
    page = (STATIC.parent / "templates/budgets/overview/home.html").read_text()
    base = (STATIC.parent / "templates/base.html").read_text()
    named = set(re.findall(r"{% static '([^']+)' %}", page + base))
    modules = {path.relative_to(STATIC).as_posix() for path in STATIC.glob("js/*.js")}

    weight = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in named | modules)

    assert weight < 120_000
