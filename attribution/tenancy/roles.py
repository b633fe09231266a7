"""The permission table: who may read and write at which URL. A URL without a row does not exist."""

from dataclasses import dataclass

OWNER, FINANCE, MANAGER, ENGINEER, AUDITOR = "owner", "finance", "manager", "engineer", "auditor"
ANYONE, PERSON, PROGRAM = "anyone", "person", "program"  # nobody signed in; no role; an API key

EVERYBODY = frozenset({OWNER, FINANCE, MANAGER, ENGINEER, AUDITOR})
OWNERS = frozenset({OWNER})
OFFICE = frozenset({OWNER, FINANCE})
READERS = OFFICE | {MANAGER, AUDITOR}
CONTROL = OFFICE | {AUDITOR}
KEEPERS = OFFICE | {ENGINEER}  # of keys: engineers see and replace those that are theirs
NOBODY: frozenset[str] = frozenset()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may read (GET, HEAD, OPTIONS) and who may write (every other method) at a URL."""

    reads: frozenset[str]
    writes: frozenset[str] = NOBODY

    def allowed(self, method: str) -> frozenset[str]:
        """Return who may use a method."""
        return self.reads if method in SAFE_METHODS else self.writes

    def allows(self, method: str, role: str) -> bool:
        """Say whether a role may use a method."""
        allowed = self.allowed(method)
        return role in allowed or ANYONE in allowed or PERSON in allowed

    def is_open(self, method: str) -> bool:
        """Say whether a method needs no organization: anyone's, or an API key's own business."""
        return bool(self.allowed(method) & {ANYONE, PROGRAM})


PUBLIC = Rule(frozenset({ANYONE}))
PUBLIC_FORM = Rule(frozenset({ANYONE}), frozenset({ANYONE}))
KEYED = Rule(frozenset({PROGRAM}), frozenset({PROGRAM}))  # the view asks for the key
FIGURES = Rule(EVERYBODY | {PROGRAM}, frozenset({PROGRAM}))  # the view admits people by role
PERSONAL_FORM = Rule(frozenset({PERSON}), frozenset({PERSON}))

TABLE: dict[str, Rule] = {
    "attribution:sign-in": PUBLIC_FORM,
    "attribution:sign-out": PUBLIC_FORM,
    "attribution:language-choose": PUBLIC_FORM,
    "attribution:theme-choose": PUBLIC_FORM,
    "attribution:organization-switch": PERSONAL_FORM,
    "attribution:approval-list": Rule(READERS),
    "attribution:approval-show": Rule(
        READERS, READERS
    ),  # named approvers, and one's own to withdraw
    "attribution:costs-analyze": FIGURES,
    "attribution:costs-summarize": FIGURES,
    "attribution:explorer-show": Rule(EVERYBODY),
    "attribution:explorer-download": Rule(EVERYBODY),
    "attribution:call-list": Rule(EVERYBODY),
    "attribution:call-show": Rule(EVERYBODY),
    "attribution:anomaly-list": Rule(EVERYBODY),
    "attribution:anomaly-show": Rule(EVERYBODY),
    "attribution:anomaly-download": Rule(EVERYBODY),
    "attribution:anomaly-judge": Rule(NOBODY, OFFICE | {MANAGER}),
    "budgets:overview-show": Rule(EVERYBODY),
    "budgets:overview-table": Rule(EVERYBODY),
    "budgets:overview-download": Rule(EVERYBODY),
    "budgets:overview-stamp": Rule(EVERYBODY),
    "budgets:channel-list": Rule(CONTROL),
    "budgets:channel-add": Rule(OFFICE, OFFICE),
    "budgets:channel-show": Rule(CONTROL),
    "budgets:channel-change": Rule(OFFICE, OFFICE),
    "budgets:channel-rotate": Rule(OFFICE, OFFICE),
    "budgets:channel-archive": Rule(OFFICE, OFFICE),
    "budgets:channel-test": Rule(NOBODY, OFFICE),
    "budgets:notification-list": Rule(EVERYBODY),
    "budgets:notification-count": Rule(EVERYBODY),
    "budgets:notification-open": Rule(NOBODY, EVERYBODY),
    "budgets:notification-clear": Rule(NOBODY, EVERYBODY),
    "budgets:notification-acknowledge": Rule(EVERYBODY, EVERYBODY),
    "budgets:notification-history": Rule(CONTROL),
    "budgets:notification-show": Rule(CONTROL),
    "budgets:notification-resend": Rule(NOBODY, OFFICE),
    "budgets:subscription-change": Rule(EVERYBODY, EVERYBODY),
    "budgets:plan-download": Rule(CONTROL),
    "budgets:plan-import": Rule(OFFICE, OFFICE),
    "budgets:plan-copy": Rule(OFFICE, OFFICE),
    "budgets:plan-show": Rule(OFFICE, OFFICE),
    "budgets:usage-record": KEYED,
    "budgets:budget-list": Rule(EVERYBODY),
    "budgets:budget-download": Rule(EVERYBODY),
    "budgets:budget-show": Rule(EVERYBODY),
    "budgets:budget-table": Rule(EVERYBODY),
    "budgets:budget-file": Rule(EVERYBODY),
    "budgets:refusal-list": Rule(EVERYBODY),
    "budgets:refusal-download": Rule(EVERYBODY),
    "budgets:alert-list": Rule(EVERYBODY),
    "budgets:alert-download": Rule(EVERYBODY),
    "budgets:alert-acknowledge": Rule(NOBODY, OFFICE | {MANAGER}),
    "budgets:override-list": Rule(EVERYBODY),
    "budgets:override-grant": Rule(OFFICE, OFFICE),
    "budgets:override-revoke": Rule(OFFICE, OFFICE),
    "gateway:key-list": Rule(EVERYBODY),
    "gateway:key-issue": Rule(OFFICE, OFFICE),
    "gateway:key-show": Rule(EVERYBODY),
    "gateway:key-change": Rule(OFFICE, OFFICE),
    "gateway:key-rotate": Rule(KEEPERS, KEEPERS),
    "gateway:key-revoke": Rule(KEEPERS, KEEPERS),
    "gateway:key-block": Rule(KEEPERS, KEEPERS),
    "gateway:block-list": Rule(CONTROL),
    "gateway:organization-block": Rule(OFFICE, OFFICE),
    "gateway:center-block": Rule(OFFICE, OFFICE),
    "gateway:block-cut": Rule(OFFICE, OFFICE),
    "gateway:block-lift": Rule(OFFICE, OFFICE),
    "gateway:upstream-list": Rule(CONTROL),
    "gateway:upstream-add": Rule(OWNERS, OWNERS),
    "gateway:upstream-show": Rule(CONTROL),
    "gateway:upstream-change": Rule(OWNERS, OWNERS),
    "gateway:upstream-reseal": Rule(OWNERS, OWNERS),
    "gateway:upstream-test": Rule(CONTROL, OWNERS),
    "budgets:unpriced-show": Rule(CONTROL),
    "budgets:unpriced-download": Rule(CONTROL),
    "budgets:rerating-download": Rule(CONTROL),
    "budgets:rerating-preview": Rule(CONTROL, OFFICE),
    "budgets:rerating-show": Rule(CONTROL),
    "gateway:live-show": Rule(EVERYBODY),
    "gateway:live-recent": Rule(EVERYBODY),
    "gateway:live-download": Rule(EVERYBODY),
    "gateway:health-show": PUBLIC,
    "gateway:health-ready": PUBLIC,
    "gateway:metrics-show": PUBLIC,
    "admin:index": Rule(READERS),
    "admin:app_list": Rule(READERS),
    "admin:jsi18n": Rule(READERS),
    "admin:login": PUBLIC,
    "admin:logout": Rule(NOBODY, READERS),
    "admin:password_change": Rule(READERS, READERS),
    "admin:password_change_done": Rule(READERS),
}

# Who reads and who changes each kind of row in the admin; its URLs follow by rule. Nobody deletes:
# rows are deactivated, archived, revoked, so that history stays.
ROWS: dict[str, Rule] = {
    "attribution_organization": Rule(CONTROL, frozenset({OWNER})),
    "attribution_department": Rule(READERS, OFFICE),
    "attribution_costcenter": Rule(READERS, OFFICE),
    "attribution_membership": Rule(CONTROL, frozenset({OWNER})),
    "attribution_price": Rule(READERS, OFFICE),
    "attribution_priceproposal": Rule(READERS, OFFICE),
    "attribution_usagerecord": Rule(READERS),
    "attribution_ledgerentry": Rule(CONTROL),
    "attribution_auditentry": Rule(CONTROL),
    "budgets_budget": Rule(READERS, OFFICE),
    "budgets_alert": Rule(READERS),
    "budgets_boundbreach": Rule(CONTROL, OFFICE),
    "gateway_apikey": Rule(READERS, OFFICE),
    "gateway_ratelimit": Rule(READERS, OFFICE),
    "gateway_upstream": Rule(CONTROL, frozenset({OWNER})),
    "gateway_route": Rule(READERS, frozenset({OWNER})),
    "gateway_downgraderule": Rule(READERS, OFFICE),
}
MADE_BY_COMMAND = frozenset(
    {"attribution_organization", "attribution_priceproposal", "budgets_boundbreach"}
)
VERBS = ("changelist", "add", "history", "delete", "change")


def rule(url_name: str) -> Rule | None:
    """Return who may do what at a URL; None when the table does not know it."""
    if url_name in TABLE:
        return TABLE[url_name]
    if not url_name.startswith("admin:"):
        return None
    rows, _, verb = url_name.removeprefix("admin:").rpartition("_")
    if rows not in ROWS or verb not in VERBS:
        return None
    return _rule_of(verb, rows)


def _rule_of(verb: str, rows: str) -> Rule:
    row = ROWS[rows]
    if verb == "delete" or (verb == "add" and rows in MADE_BY_COMMAND):
        return Rule(NOBODY)
    if verb == "add":
        return Rule(row.writes, row.writes)
    return Rule(row.reads) if verb == "history" else row
