"""Health and readiness of the web role; gateways answer for themselves (gateway.proxy.asgi)."""

import time

from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from gateway.workers.readiness import Facts, verdict

TABLES = ("usage_record", "attempt", "reservation", "ledger_entry")
OFF = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'"
MISSING = (
    "SELECT count(*) FROM unnest(%s::text[]) AS t(name), generate_series(0, 2) AS m(n)"
    " WHERE to_regclass('public.' || t.name || '_' || to_char((now() AT TIME ZONE 'UTC')"
    " + make_interval(months => m.n), 'YYYYMM')) IS NULL"
)


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether this process may be given requests."""
    status, body = verdict(_facts())
    return JsonResponse(body, status=status)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Say that a web process lives; the figures of calls are the gateways'."""
    return HttpResponse("# TYPE tollkeeper_web_up gauge\ntollkeeper_web_up 1\n", "text/plain")


def _facts() -> Facts:
    began = time.perf_counter()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(OFF)
            off = [name for (name,) in cursor.fetchall()]
            cursor.execute(MISSING, [list(TABLES)])
            (missing,) = cursor.fetchone()
    except DatabaseError:
        return Facts(is_reachable=False, off=[], is_ahead=False, is_draining=False, commit_ms=None)
    spent = (time.perf_counter() - began) * 1000
    return Facts(
        is_reachable=True, off=off, is_ahead=not missing, is_draining=False, commit_ms=spent
    )
