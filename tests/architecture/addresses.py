"""Every address of the resolver, with arguments that exist, for tests that knock at all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.cast import Cast

PAGES = {
    "budgets:alert": "budgets_alert",
    "budgets:override": "budgets_budgetoverride",
    "budgets:plan": "budgets_budgetplan",
    "attribution:anomaly": "attribution_anomaly",
    "attribution:call": "attribution_usagerecord",
    "attribution:approval": "attribution_approvalrequest",
    "budgets:budget": "budgets_budget",
    "budgets:channel": "budgets_channel",
    "budgets:notification": "budgets_notification",
    "budgets:rerating": "budgets_rerating",
    "gateway:key": "gateway_apikey",
    "gateway:block": "gateway_block",
    "gateway:center": "attribution_costcenter",
    "gateway:upstream": "gateway_upstream",
}
FIXED = {"panel": "daily", "app_label": "attribution", "token": "forged", "suffix": "csv"}


@dataclass(frozen=True)
class Address:
    """A named URL, and the names of its arguments."""

    name: str
    arguments: tuple[str, ...]

    @property
    def is_of_a_row(self) -> bool:
        """Say whether the URL names a row of an organization; the shared list is everybody's."""
        return "object_id" in self.arguments and "priceproposal" not in self.name

    def of(self, cast: Cast) -> str:
        """Return the URL with a row of an organization."""
        known = FIXED | {"object_id": str(self.row(cast))}
        return reverse(self.name, kwargs={name: known[name] for name in self.arguments})

    def row(self, cast: Cast) -> Any:
        """Return the id of the row that an admin URL would name."""
        rows = PAGES.get(self.name.rpartition("-")[0])
        rows = rows or self.name.removeprefix("admin:").rpartition("_")[0]
        return rows_of(cast).get(rows, "00000000-0000-4000-8000-000000000000")


def rows_of(cast: Cast) -> dict[str, Any]:
    """Return the id of a row of every kind."""
    return {
        "attribution_organization": cast.organization.pk,
        "attribution_department": cast.department.pk,
        "attribution_costcenter": cast.cost_center.pk,
        "attribution_membership": cast.memberships["auditor"].pk,
        "attribution_price": cast.price.pk,
        "attribution_priceproposal": cast.proposal_id,
        "attribution_usagerecord": cast.call_id,
        "attribution_anomaly": cast.anomaly_id,
        "attribution_ledgerentry": cast.entry_id,
        "attribution_auditentry": cast.audit_id,
        "attribution_approvalrequest": cast.approval.pk,
        "budgets_budgetplan": cast.plan.pk,
        "budgets_budget": cast.budget.pk,
        "budgets_alert": cast.alert_id,
        "budgets_budgetoverride": cast.override.pk,
        "budgets_boundbreach": cast.breach_id,
        "budgets_channel": cast.channel.pk,
        "budgets_notification": cast.notification_id,
        "budgets_rerating": cast.rerating.pk,
        "gateway_apikey": cast.key.pk,
        "gateway_block": cast.block.pk,
        "gateway_ratelimit": cast.rate_limit.pk,
        "gateway_upstream": cast.upstream.pk,
        "gateway_route": cast.route.pk,
        "gateway_downgraderule": cast.rule.pk,
    }


def every_address() -> list[Address]:
    """Return all addresses of the web role."""
    return list(_walk(get_resolver(), ""))


def _walk(resolver: URLResolver, namespace: str) -> Iterator[Address]:
    for part in resolver.url_patterns:
        if isinstance(part, URLResolver):
            yield from _walk(part, f"{part.namespace}:" if part.namespace else namespace)
        else:
            yield Address(namespace + (part.name or ""), _arguments(part))


def _arguments(pattern: URLPattern) -> tuple[str, ...]:
    regex = pattern.pattern.regex.groupindex if hasattr(pattern.pattern, "regex") else {}
    return tuple(regex)
