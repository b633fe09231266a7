"""Collects the admin of the package's rooms."""

from gateway.keys import admin as keys
from gateway.routes import admin as routes
from gateway.upstreams import admin as upstreams

__all__ = ["keys", "routes", "upstreams"]
