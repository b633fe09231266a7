"""Files of calls through the command: checked whole, recorded once, exact in total."""

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import Count, Sum
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from budgets.reservations import books
from tests.factories import make_organization, make_price, unique

TRACE = settings.TOLLKEEPER_DATA / "traces" / "AzureLLMInferenceTrace_conv.csv.gz"
MAPPING = ["--map", "timestamp=TIMESTAMP", "--map", "input=In", "--map", "output=Out"]
FIXED = ["--set", "model=m", "--set", "provider=openai"]


def organization(*, retention_days: int = 90) -> Organization:
    made = make_organization(slug=unique("trace"), retention_days=retention_days)
    with tenant(made.pk):
        rates = {"base": {"input": "3", "output": "15"}}
        make_price(model="m", rates=rates, effective_from=datetime(2020, 1, 1, tzinfo=UTC))
    return made


def imported(made: Organization, path: Path, *options: str) -> str:
    out = StringIO()
    call_command("import_usage", made.slug, str(path), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def kept(made: Organization) -> tuple[int, Decimal | None]:
    with tenant(made.pk):
        sums = UsageRecord.objects.aggregate(count=Count("id"), cost=Sum("cost"))
        assert not books.verify()
    return sums["count"], sums["cost"]


def file_of(folder: Path, rows: list[str], *, name: str = "calls.csv") -> Path:
    path = folder / name
    text = "\r\n".join(["TIMESTAMP,In,Out", *rows])  # CRLF and no final newline
    packed = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    path.write_bytes(packed)
    return path


def stamp(minutes: int) -> str:
    at = timezone.now().astimezone(UTC) - timedelta(minutes=minutes)
    return f"{at:%Y-%m-%d %H:%M:%S.%f}0"


@pytest.mark.django_db
def test_importing_twice_records_once_and_repeats_in_a_file_stay(tmp_path: Path) -> None:
    made = organization()
    again, other = stamp(5), stamp(9)
    path = file_of(tmp_path, [f"{again},1000,100", f"{other},1000,100", f"{again},1000,100"])

    first = imported(made, path, *MAPPING, *FIXED)
    moved = file_of(tmp_path, path.read_text().splitlines()[1:], name="elsewhere.csv.gz")
    second = imported(made, moved, *MAPPING, *FIXED)

    assert first.startswith("1 rows checked")
    assert "3 recorded (0.0135 USD, 0 unpriced), 0 known already" in first
    assert "0 recorded (0 USD, 0 unpriced), 3 known already" in second
    assert kept(made) == (3, Decimal("0.0135"))


@pytest.mark.django_db
def test_a_bad_row_is_named_and_nothing_is_imported(tmp_path: Path) -> None:
    made = organization()
    path = file_of(tmp_path, [f"{stamp(5)},1000,100", "yesterday,1,1", f"{stamp(6)},many,1"])
    errors = StringIO()

    with pytest.raises(CommandError, match="2 of 3 rows are bad; nothing was imported"):
        call_command("import_usage", made.slug, str(path), *MAPPING, *FIXED, stderr=errors)

    assert "line 3: timestamp: “yesterday”" in errors.getvalue()
    assert "line 4: input: “many” is not a whole number" in errors.getvalue()
    assert kept(made) == (0, None)


@pytest.mark.django_db
def test_bad_rows_can_be_left_out_and_a_mapping_kept(tmp_path: Path) -> None:
    made = organization()
    path = file_of(tmp_path, [f"{stamp(5)},1000,100", "yesterday,1,1"])
    mapping = tmp_path / "mapping.json"
    imported(made, path, *MAPPING, *FIXED, "--skip-bad", "--save-mapping", str(mapping))

    told = imported(made, path, "--mapping", str(mapping), "--skip-bad")

    assert "0 recorded" in told
    assert kept(made) == (1, Decimal("0.0045"))


@pytest.mark.skipif(not TRACE.exists(), reason=f"no recorded trace at {TRACE}: TOLLKEEPER_DATA")
@pytest.mark.usefixtures("committed")
def test_a_real_trace_of_2023_imported_twice_has_one_exact_total() -> None:
    made = organization(retention_days=4000)
    mapping = ["--map", "timestamp=TIMESTAMP", "--map", "input=ContextTokens"]
    mapping += ["--map", "output=GeneratedTokens", *FIXED]

    totals = []
    for _ in range(2):
        imported(made, TRACE, *mapping)
        totals.append(kept(made))

    with gzip.open(TRACE, "rt") as trace:
        rows = [line.strip().split(",") for line in trace][1:]
    expected = sum(Decimal(row[1]) * 3 + Decimal(row[2]) * 15 for row in rows) / 1_000_000
    assert totals == [(19_366, expected)] * 2
