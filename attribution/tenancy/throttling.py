"""How often a program may ask the JSON API: requests of its key in a minute, counted in Valkey."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from attribution.tenancy.program import Program

MINUTE = 60
SHARED, OWN = "default", "process"  # with all processes; alone, while Valkey is away


class ProgramThrottle(BaseThrottle):
    """Counts a sliding minute of two parts; what is refused counts nothing.

    `notes` of the view get the headers that say how the limit stands.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count a request of a program; people are not limited."""
        most: int = settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE
        if not most or not isinstance(request.user, Program):
            return True
        used, reset = counted(request.user, most, timezone.now())
        view.notes |= {
            "X-RateLimit-Limit-Requests": str(most),
            "X-RateLimit-Remaining-Requests": str(max(0, most - used)),
            "X-RateLimit-Reset-Requests": f"{reset}s",
        }
        if used > most:
            view.notes["Retry-After"] = str(reset)
        return used <= most


def counted(program: Program, most: int, at: datetime) -> tuple[int, int]:
    """Count a request; return how many the minute then has, and seconds until it is forgotten."""
    try:
        return _count(caches[SHARED], program, most, at)
    except RedisError:
        return _count(caches[OWN], program, most, at)


def _count(cache: BaseCache, program: Program, most: int, at: datetime) -> tuple[int, int]:
    minute, past = divmod(int(at.timestamp()), MINUTE)
    name = f"asks:{{{program.organization_id}}}:{program.key_id}"
    here = f"{name}:{minute}"
    cache.add(here, 0, 2 * MINUTE)
    before = int(cache.get(f"{name}:{minute - 1}", 0))
    used = int(cache.incr(here)) + before * (MINUTE - past) // MINUTE
    if used > most:
        cache.decr(here)
    return used, MINUTE - past
