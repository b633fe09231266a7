"""Collects the models of the package's rooms."""

from gateway.keys.models import ApiKey, RateLimit
from gateway.routes.models import DowngradeRule, Route, RouteTarget
from gateway.upstreams.models import Upstream, UpstreamProbe
from gateway.workers.models import GatewayWorker

__all__ = [
    "ApiKey",
    "DowngradeRule",
    "GatewayWorker",
    "RateLimit",
    "Route",
    "RouteTarget",
    "Upstream",
    "UpstreamProbe",
]
