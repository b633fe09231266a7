"""What the calls say about an anomaly: the parts of the change, and who made most of it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db import connection

from attribution import money
from attribution.insights import causes
from attribution.insights.causes import Causes, Line, Usage
from attribution.insights.models import Anomaly
from attribution.isolation.transaction import required

AFTER, BEFORE = "after", "before"
NAMED = ("api_key", "prompt", "feature")  # of equal contributions the first is named
FINEST = Decimal("1e-11")
# The calls of the span, and by weight those of the days that were the expected amount; the model as
# the rollups tell it.
CALLS = """
WITH part AS (
  SELECT w.tag, e.token_class, coalesce(u.api_key_id::text, '') AS key, u.api_key_name AS key_name,
         coalesce(nullif(u.prompt_name, ''), encode(u.prompt_fp, 'hex'), '') AS prompt, u.feature,
         w.weight * e.call_count AS calls, w.weight * e.quantity AS quantity,
         w.weight * e.usd_amount AS amount
    FROM unnest(%(tags)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
                %(weights)s::numeric[]) AS w(tag, first, until, weight)
    JOIN usage_record u ON u.organization_id = %(organization)s
     AND u.id >= uuid7_floor(w.first) AND u.id < uuid7_floor(w.until)
    JOIN ledger_entry e ON e.usage_id = u.id
   WHERE e.cost_center_id IS NOT DISTINCT FROM %(center)s::uuid
     AND (%(key)s::uuid IS NULL OR u.api_key_id = %(key)s::uuid)
     AND coalesce(CASE e.account WHEN 'spent' THEN nullif(u.model_billed, '') END,
                  u.model_requested, '') = %(model)s)
SELECT CASE WHEN grouping(token_class) = 0 THEN 'class' WHEN grouping(key) = 0 THEN 'api_key'
            WHEN grouping(prompt) = 0 THEN 'prompt' ELSE 'feature' END AS dimension,
       tag, coalesce(token_class, key, prompt, feature) AS value, max(key_name) AS name,
       sum(calls) AS calls, sum(quantity) AS quantity, coalesce(sum(amount), 0) AS amount
  FROM part
 GROUP BY GROUPING SETS ((tag, token_class), (tag, key), (tag, prompt), (tag, feature))
"""


def reason(row: Anomaly) -> dict[str, Any]:
    """Return why a row's amount is not the expected one, as the row keeps it.

    `is_complete` is false while the calls do not add up to the figures: not folded yet, or no
    longer kept; then only who made most of the change is told.
    """
    found = list(_calls(row))
    before, after = _usage(found, BEFORE), _usage(found, AFTER)
    explained = causes.explain(before, after)
    told: dict[str, Any] = {"named": _named(found, row), "is_complete": False}
    if abs(before.amount - row.expected) > FINEST or abs(after.amount - row.actual) > FINEST:
        return told
    told |= {"is_complete": True, "is_new": explained.is_new}
    told |= {"requests": [money.text(before.requests), money.text(after.requests)]}
    return told | {name: money.text(part) for name, part in _parts(explained, row).items()}


def key_name(row: Anomaly) -> str:
    """Return what the key of a row was called on the calls that were compared."""
    names = [str(each["name"]) for each in _calls(row) if each["dimension"] == "api_key"]
    return max(names, default="")


def _parts(explained: Causes, row: Anomaly) -> dict[str, Decimal]:
    """Return the parts, what rounding the expected amount left added to the largest."""
    parts = {name: part for name, part in explained.parts.items() if name != "fx"}
    if parts:
        largest = max(parts, key=lambda name: (abs(parts[name]), name))
        parts[largest] += row.impact - explained.total
    return parts


def _calls(row: Anomaly) -> Iterator[dict[str, Any]]:
    spans = [(AFTER, each["from"], each["to"], Decimal(1)) for each in row.buckets]
    spans += [
        (BEFORE, begins, ends, Decimal(weight))
        for each in row.buckets
        for begins, ends, weight in each["like"]
    ]
    tags, starts, ends, weights = zip(*spans, strict=True)
    arguments = {
        "organization": required(), "center": row.cost_center_id, "model": row.model,
        "key": row.api_key_id, "tags": list(tags), "starts": list(starts), "ends": list(ends),
        "weights": list(weights),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(CALLS, arguments)
        names = [column.name for column in cursor.description or ()]
        yield from (dict(zip(names, found, strict=True)) for found in cursor.fetchall())


def _usage(found: list[dict[str, Any]], tag: str) -> Usage:
    rows = [row for row in found if row["dimension"] == "class" and row["tag"] == tag]
    lines = {row["value"]: Line(row["quantity"], row["amount"]) for row in rows}
    return Usage(sum((row["calls"] for row in rows), start=Decimal(0)), lines)


def _named(found: list[dict[str, Any]], row: Anomaly) -> list[dict[str, str]]:
    """Return the key, prompt and feature whose share of the change is largest, the largest first."""
    side = 1 if row.impact > 0 else -1
    named = []
    for dimension in NAMED[1:] if row.api_key_id else NAMED:
        changes: dict[str, Decimal] = {}
        names: dict[str, str] = {}
        for each in found:
            if each["dimension"] != dimension or not each["value"]:
                continue
            signed = each["amount"] if each["tag"] == AFTER else -each["amount"]
            changes[each["value"]] = changes.get(each["value"], Decimal(0)) + signed
            names[each["value"]] = each["name"] if dimension == "api_key" else each["value"]
        named += _largest(dimension, changes, names, side)
    return sorted(named, key=lambda one: -side * Decimal(one["change"]))


def _largest(
    dimension: str, changes: dict[str, Decimal], names: dict[str, str], side: int
) -> list[dict[str, str]]:
    if not changes:
        return []
    value = max(changes, key=lambda each: (side * changes[each], each))
    if side * changes[value] <= 0:
        return []
    change = money.text(changes[value])
    return [{"dimension": dimension, "value": value, "name": names[value], "change": change}]
