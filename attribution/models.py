"""Collects the models of the package's rooms."""

from attribution.approvals.models import ApprovalRequest
from attribution.audit.models import AuditEntry, AuditSeal
from attribution.insights.models import Anomaly
from attribution.ledger.models import (
    AccountingPeriod,
    LatencyRollup,
    LedgerEntry,
    Rollup,
    RollupWatermark,
    RollupZone,
)
from attribution.prices.models import Price, PriceDecision, PriceProposal
from attribution.tenancy.models import (
    Block,
    CostCenter,
    Department,
    Membership,
    Organization,
    User,
)
from attribution.usage.models import Attempt, PromptFingerprint, UsageRecord

__all__ = [
    "AccountingPeriod",
    "Anomaly",
    "ApprovalRequest",
    "Attempt",
    "AuditEntry",
    "AuditSeal",
    "Block",
    "CostCenter",
    "Department",
    "LatencyRollup",
    "LedgerEntry",
    "Membership",
    "Organization",
    "Price",
    "PriceDecision",
    "PriceProposal",
    "PromptFingerprint",
    "Rollup",
    "RollupWatermark",
    "RollupZone",
    "UsageRecord",
    "User",
]
