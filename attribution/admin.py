"""Collects the admin of the package's rooms; `site` is the one the product mounts."""

from attribution.prices import admin as prices
from attribution.tenancy import workbench
from attribution.tenancy.admin import site

__all__ = ["prices", "site", "workbench"]
