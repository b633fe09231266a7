"""The JSON API of ordinary web code: strict bodies, errors with stable codes, who may ask for what."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.utils.translation import gettext
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from attribution.isolation.transaction import tenant
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import Organization, User
from attribution.tenancy.program import Program
from attribution.tenancy.throttling import ProgramThrottle

BODY = 10 << 20
DEPTH = 64
LARGEST = 2**53
DIGITS = 40  # of a number: more is no amount and no count
CODES = {  # of what the framework itself raises
    400: "invalid_request",
    401: "invalid_api_key",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_encoding",
}


class ApiError(exceptions.APIException):
    """A request that is refused; `code` is stable, `param` names what to correct."""

    def __init__(self, code: str, message: str, *, status: int = 400, param: str = "") -> None:
        super().__init__(message, code)
        self.code, self.message, self.status_code, self.param = code, message, status, param


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, in their organization; `cost_centers` are the codes and ids they may look at."""

    organization: Organization
    cost_centers: Mapping[str, UUID]
    is_narrowed: bool
    program: Program | None = None

    @property
    def zone(self) -> ZoneInfo:
        """Return the organization's time zone."""
        return ZoneInfo(self.organization.time_zone)


class StrictParser(BaseParser):
    """JSON as SECURITY §6 wants it; fractions are read as Decimal, whatever the body calls itself."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read the body."""
        request = (parser_context or {}).get("request")
        if (
            request is not None
            and request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity"
        ):
            message = "The body may not be compressed."
            raise ApiError("unsupported_encoding", message, status=415)
        raw = stream.read(BODY + 1)
        if len(raw) > BODY:
            message = f"The body is larger than {BODY} bytes."
            raise ApiError("body_too_large", message, status=413)
        return loads(raw)


class PlainJson(BaseRenderer):
    """What little the framework itself renders: refusals."""

    media_type = "application/json"
    format = "json"

    def render(self, data: Any, *_unused: object) -> bytes:
        """Write a value."""
        return json.dumps(data, ensure_ascii=False).encode()


class OnlyJson(BaseContentNegotiation):
    """Every body is read as JSON and every answer is JSON."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Return the one parser."""
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the one renderer."""
        return renderers[0], renderers[0].media_type


class JsonView(APIView):
    """An address of the JSON API; `rule` is its row in the permission table, `key_scope` what a key needs."""

    parser_classes = [StrictParser]
    renderer_classes = [PlainJson]
    content_negotiation_class = OnlyJson
    metadata_class = None
    throttle_classes = [ProgramThrottle]
    rule = ""
    key_scope = ""

    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Begin without anything to say beside the answer."""
        super().setup(request, *args, **kwargs)
        self.notes: dict[str, str] = {}

    def throttled(self, request: Request, wait: Any) -> NoReturn:
        """Refuse a program that asks too often."""
        most = settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE
        text = gettext("This API key may ask %(number)d times a minute.") % {"number": most}
        raise ApiError("rate_limited", text, status=429)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Say how the limit of the key stands."""
        answered = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.notes.items():
            answered[name] = value
        return answered

    def get_exception_handler(self) -> Callable[..., HttpResponse | None]:
        """Give every error its stable shape."""
        return refusal

    def for_program(self, request: Request) -> Program:
        """Return the program that asks; nobody else may."""
        if not isinstance(request.user, Program):
            raise exceptions.NotAuthenticated(gettext("Send an API key."))
        return request.user

    def for_anyone(self, request: Request, work: Callable[[Asker], Any]) -> HttpResponse:
        """Do `work` in the asker's organization and answer with what it returns."""
        if isinstance(request.user, Program):
            with tenant(request.user.organization_id):
                return answer(work(_own(request.user)))
        served = request._request  # the one that sessions and the permission table know
        if not isinstance(request.user, User):
            raise exceptions.NotAuthenticated(gettext("Sign in, or send an API key."))
        access.place(served, access.belongings(request.user.pk))
        found = access.serve(served, self.rule, lambda person: answer(work(_person(person))))
        if not isinstance(found, HttpResponse):
            raise exceptions.NotAuthenticated(gettext("Sign in, or send an API key."))
        return found


def answer(value: Any, *, status: int = 200) -> HttpResponse:
    """Return a value as JSON that nobody keeps."""
    body = json.dumps(value, ensure_ascii=False)
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(body, content_type="application/json", status=status, headers=headers)


def loads(raw: bytes) -> Any:
    """Parse strictly: no repeated key, no NaN, depth ≤ 64, integers ≤ 2⁵³, UTF-8."""
    try:
        text = raw.decode()
        value = _decode(text)
    except UnicodeDecodeError as error:
        raise _invalid("The body is not UTF-8.") from error
    except RecursionError as error:
        raise _invalid(f"The body is nested deeper than {DEPTH}.") from error
    except json.JSONDecodeError as error:
        raise _invalid(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    if text.count("[") + text.count("{") > DEPTH:  # it cannot be deeper than it has brackets
        _refuse_depth(value)
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def refusal(error: Exception, _context: object = None) -> HttpResponse | None:
    """Return the answer to an error that is somebody's doing; None leaves it a fault of ours."""
    headers = {}
    if isinstance(error, OperationalError | InterfaceError):
        error = ApiError("ledger_unavailable", gettext("The books are away."), status=503)
        headers["Retry-After"] = "1"
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    known = CODES.get(error.status_code, "invalid_request")
    code = getattr(error, "code", None) or _stated(error) or known
    told = {"code": code, "message": str(error.detail)}
    if param := getattr(error, "param", ""):
        told["param"] = param
    if scheme := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = scheme
    found = answer({"error": told}, status=error.status_code)
    for name, value in headers.items():
        found[name] = value
    return found


def _stated(error: exceptions.APIException) -> str:
    """Return the code that a refusal was raised with, unless it is only the framework's own."""
    codes = error.get_codes()
    return codes if isinstance(codes, str) and codes != error.default_code else ""


def _person(request: OrganizationRequest) -> Asker:
    centers = dict(access.cost_centers(request).values_list("code", "pk"))
    return Asker(request.organization, centers, access.is_narrowed(request))


def _own(asking: Program) -> Asker:
    organization = Organization.objects.get(pk=asking.organization_id)
    centers = dict(access.cost_centers_of(asking).values_list("code", "pk"))
    return Asker(organization, centers, asking.is_narrowed, asking)


def _invalid(message: str, param: str = "") -> ApiError:
    return ApiError("invalid_request", message, param=param)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise _invalid(f"The key {twice[:64]!r} appears twice.", twice[:64])
    return found


def _integer(text: str) -> int:
    if len(text) > DIGITS or abs(number := int(text)) > LARGEST:
        raise _invalid("An integer is larger than 2^53.")
    return number


def _fraction(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise _invalid("A number is out of range.") from error
    if len(text) > DIGITS or abs(number.adjusted()) > DIGITS:
        raise _invalid("A number is out of range.")
    return number


def _constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not JSON.")


_decode = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
).decode


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    if any(isinstance(item, dict | list) for item in level):
        raise _invalid(f"The body is nested deeper than {DEPTH}.")


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise _invalid("A string holds half of a surrogate pair.") from error
