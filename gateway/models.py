"""Collects the models of the package's rooms."""

from gateway.keys.models import ApiKey
from gateway.routes.models import Route, RouteTarget
from gateway.upstreams.models import Upstream
from gateway.workers.models import GatewayWorker

__all__ = ["ApiKey", "GatewayWorker", "Route", "RouteTarget", "Upstream"]
