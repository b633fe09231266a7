"""Collects the admin of the package's rooms; `site` is the one the product mounts."""

from attribution.ledger import admin as ledger
from attribution.prices import admin as prices
from attribution.prices import proposal_admin as proposals
from attribution.tenancy import workbench
from attribution.tenancy.admin import site
from attribution.usage import admin as usage

__all__ = ["ledger", "prices", "proposals", "site", "usage", "workbench"]
