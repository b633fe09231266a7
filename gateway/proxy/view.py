"""The gateway's views: DRF views with an async dispatch of their own, fixed parser and renderer."""

from typing import Any

import msgspec
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.views import APIView

from gateway.proxy import answer, call, estimate, offer, planning, standing, throttle
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.proxy.incoming import Gateway, Incoming
from gateway.proxy.protocols import openai_chat, strict_json
from gateway.proxy.protocols.wire import Format
from gateway.proxy.upstream.headers import JSON, SAFE, Headers
from gateway.routes import matching

METHODS = {"GET": "get", "POST": "post"}


class ProviderView(APIView):
    """A provider path. The key was found by the door; who it is, the caller's cache knows."""

    authentication_classes: list[type[BaseAuthentication]] = []
    permission_classes = []
    parser_classes: list[type[BaseParser]] = []
    renderer_classes: list[type[BaseRenderer]] = []
    format: Format = openai_chat  # its errors' shape; a module is a Format by its functions

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Reply:  # type: ignore[override] # no negotiation, no renderer: the reply is bytes
        """Run the handler of the method; every error becomes a refusal in the path's dialect."""
        incoming: Incoming = request.incoming  # type: ignore[attr-defined] # the door's
        self.request = request  # type: ignore[assignment] # not wrapped: nothing here needs it
        self.gateway: Gateway = request.gateway  # type: ignore[attr-defined] # the door's
        handler = getattr(self, METHODS.get(request.method or "", ""), self.no_method)
        try:
            reply: Reply = await handler(incoming)
        except RefusedError as error:
            return answer.refused(self.format.DIALECT, incoming.id, error)
        except (ValueError, LedgerUnavailableError, QuestionError) as error:
            return answer.refused(self.format.DIALECT, incoming.id, answer.as_refusal(error))
        return reply

    async def count(self, incoming: Incoming) -> Headers:
        """Count a question that carries no call against the limit of its key."""
        gateway = self.gateway
        return await throttle.ask(gateway.limits, incoming.caller, gateway.asks_per_minute)

    async def no_method(self, incoming: Incoming) -> Reply:
        """Refuse a method that the path does not have."""
        raise RefusedError("method_not_allowed", "This path has another method.")


class CallView(ProviderView):
    """A path that carries calls of one wire format: the one it is made with."""

    async def post(self, incoming: Incoming) -> Reply:
        """Carry one call; the pump goes on when the client leaves."""
        pump = await call.begin(self.gateway, incoming, self.format)
        self.request.pump = pump  # type: ignore[attr-defined] # the door tells it when the client leaves
        return await pump.reply


class Models(ProviderView):
    """`GET /v1/models` for OpenAI's and Anthropic's libraries, `GET /v1beta/models` for Gemini's."""

    async def get(self, incoming: Incoming) -> Reply:
        """List the models that this key may ask for; patterns name no model."""
        caller = incoming.caller
        names = [route.name for route in caller.catalog.row.routes if "*" not in route.name]
        allowed = [n for n in names if matching.is_allowed(n, caller.key.allowed_models)]
        is_anthropic = b"anthropic-version" in incoming.headers
        dialect = "anthropic" if is_anthropic else self.format.DIALECT
        return told(incoming, offer.listed(allowed, dialect))


class Estimate(ProviderView):
    """`POST /v1/costs/estimate`."""

    async def post(self, incoming: Incoming) -> Reply:
        """Say what a call would cost and whether it would be admitted; makes none."""
        notes = await self.count(incoming)
        body = strict_json.load_object(incoming.body)
        form, variables = governed(body.pop("path", None))
        found = await estimate.of(self.gateway, incoming, form, variables, body)
        return told(incoming, found, notes)


class Budgets(ProviderView):
    """`GET /v1/budgets`."""

    async def get(self, incoming: Incoming) -> Reply:
        """List the budgets over a call of this key, as they stand now."""
        notes = await self.count(incoming)
        headers = planning.said(incoming.headers)
        lookup = self.gateway.callers.lookup
        found = await standing.of_caller(lookup, incoming.caller, headers, incoming.ms)
        return told(incoming, {"data": found}, notes)


def told(incoming: Incoming, value: Any, notes: Headers | None = None) -> Reply:
    """Return a value as JSON; `notes` are further headers."""
    headers = [JSON, *SAFE, (b"x-request-id", incoming.id.encode()), *(notes or [])]
    return Reply(200, headers, msgspec.json.encode(value))


def governed(path: object) -> tuple[Format, dict[str, str]]:
    """Return the format and the variables of a provider path that a body names."""
    if not isinstance(path, str):
        message = "`path` names the path of the call, for example /v1/chat/completions."
        raise RefusedError("invalid_request", message, param="path")
    try:
        match = resolve("/" + path.partition("?")[0].lstrip("/"), "gateway.proxy.urls")
    except Resolver404 as error:
        message = "`path` is none that carries calls."
        raise RefusedError("invalid_request", message, param="path") from error
    if getattr(match.func, "view_class", None) is not CallView:
        raise RefusedError("invalid_request", "`path` is none that carries calls.", param="path")
    form: Format = vars(match.func)["view_initkwargs"]["format"]
    return form, {**match.kwargs, "alt": "sse"}
