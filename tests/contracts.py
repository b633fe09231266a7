"""What `./run check` compares and no linter does. Run as `python -m tests.contracts NAME`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPILE = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
COMPILE += ["--no-annotate", "--quiet"]
LOCKS = {
    "requirements.lock": ["pyproject.toml"],
    "tests/requirements.lock": ["-c", "requirements.lock", "--group", "dev"],
}
ROLES = {"postgres", "redis", "migrate", "web", "gateway", "worker", "beat", "proxy"}
OPENAPI = ["spectacular", "--validate", "--urlconf", "config.openapi"]
# Enough of a deployment for Django's own checks; the secrets are the data folder's.
DEPLOYMENT = {
    "TOLLKEEPER_URL": "https://tollkeeper.example",
    "ALLOWED_HOSTS": "tollkeeper.example",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


def locks() -> list[str]:
    """Find locks that pyproject.toml would not give, and lines that name a place instead of a hash."""
    found = []
    for name, arguments in LOCKS.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "lock"  # uv keeps the versions of the file it writes over
            shutil.copyfile(ROOT / name, copy)
            _run(["uv", "pip", "compile", *arguments, *COMPILE, "--output-file", str(copy)])
            if copy.read_text() != (ROOT / name).read_text():
                found.append(f"{name} does not belong to pyproject.toml")
        if re.search(r"https?://|^--|^-e", (ROOT / name).read_text(), re.MULTILINE):
            found.append(f"{name} names an address or an option")
    return found


def compose() -> list[str]:
    """Find what docker compose would refuse in docker-compose.yml, and roles that are missing."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: dict[str, dict[str, Any]] = document["services"]
    found = [f"service {name} is missing" for name in sorted(ROLES - services.keys())]
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    needed = set(re.findall(r"\$\{([A-Z_]+):\?\}", (ROOT / "docker-compose.yml").read_text()))
    found += [f".env.example lacks {name}" for name in sorted(needed - example)]
    for name, service in services.items():
        found += [f"{name}: {problem}" for problem in _service_problems(service, document)]
    return found


def _service_problems(service: dict[str, Any], document: dict[str, Any]) -> list[str]:
    problems = [] if "image" in service else ["no image"]
    for part, section in (("depends_on", "services"), ("networks", "networks")):
        missing = set(service.get(part, [])) - document[section].keys()
        problems += [f"{part} names {name}, which is missing" for name in sorted(missing)]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        known = (
            (ROOT / source).exists() if source.startswith(".") else source in document["volumes"]
        )
        if not known:
            problems.append(f"volume {source} is missing")
    return problems


def database() -> list[str]:
    """Migrate an empty database, then let Django compare models, deployment and API document with the code."""
    _run([sys.executable, "-m", "config.prepare"])
    manage = [sys.executable, "manage.py"]
    found = _complaints([*manage, "makemigrations", "--check", "--dry-run"])
    deployment = [*manage, "check", "--deploy", "--fail-level", "WARNING", "--database", "default"]
    found += _complaints(deployment, DEPLOYMENT)
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "openapi.yaml"
        found += _complaints([*manage, *OPENAPI, "--file", str(fresh)])
        published = ROOT / "docs" / "openapi.yaml"
        if fresh.exists() and (
            not published.exists() or fresh.read_text() != published.read_text()
        ):
            found.append(
                f"docs/openapi.yaml is old: ./run manage {' '.join(OPENAPI)} --file docs/openapi.yaml"
            )
    return found


def _complaints(command: list[str], env: dict[str, str] | None = None) -> list[str]:
    try:
        _run(command, env)
    except subprocess.CalledProcessError as error:
        return [f"{' '.join(command[1:])}:\n{error.stdout}{error.stderr}"]
    return []


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(  # noqa: S603 -- our own commands
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path, **(env or {})},
        check=True,
        capture_output=True,
        text=True,
    )


def main(name: str) -> int:
    """Print what was found; 1 when there is anything."""
    found = {"locks": locks, "compose": compose, "database": database}[name]()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
