"""What limits a call and what it can cost at most, from an organization's catalogue."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from attribution.prices import listings
from gateway.proxy.bridge.catalog import Catalog, period_at
from gateway.proxy.bridge.lookup import CatalogRow

NOW = 1_790_000_000_000
UPSTREAM = {
    "id": "u1",
    "name": "one",
    "kind": "openai_compatible",
    "base_url": "https://one.example/v1",
    "provider": "acme",
    "price_multiplier": "1",
    "is_cost_reported": False,
    "is_error_unbilled": False,
    "connect_timeout_s": 5,
    "idle_timeout_s": 60,
    "total_timeout_s": 600,
    "credential_version": 0,
}


def price(version: int, model: str, rates: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"version": version, "provider": "acme", "model": model, "match": {}, "rates": rates}
    ends = {"from_ms": 0, "to_ms": None, "currency": "USD"}
    return {**row, **ends, "context_window": None, "max_output_tokens": None, **more}


def budget(name: str, scope: str, **more: Any) -> dict[str, Any]:
    row = {"id": name, "name": name, "scope": scope, "period": "month", "time_zone": "UTC"}
    return {**row, "enforcement": "block", "wait_ms": 0, **more}


def catalog(**parts: Any) -> Catalog:
    row = {
        "epoch": 1,
        "price_revision": "1",
        "prices": [],
        "organization": {
            "id": "o",
            "slug": "o",
            "time_zone": "UTC",
            "is_active": True,
            "unknown_cost_center": "refuse",
            "fiscal_start_month": 4,
        },
        "cost_centers": [
            {
                "id": "c1",
                "code": "A",
                "is_active": True,
                "department_id": "d1",
                "departments": ["d1", "d0"],
            }
        ],
        "budgets": [],
        "routes": [
            {
                "name": "m",
                "targets": [
                    {"upstream_id": "u1", "provider_model": "", "position": 0, "weight": 1}
                ],
            }
        ],
        "upstreams": [UPSTREAM],
        **parts,
    }
    return Catalog(msgspec.convert(row, CatalogRow), listings.read([]), 0.0)


@pytest.mark.parametrize(
    ("scope", "named", "is_covered"),
    [
        ("organization", {}, True),
        ("department", {"scope_id": "d1"}, True),
        ("department", {"scope_id": "d0"}, True),
        ("department", {"scope_id": "d2"}, False),
        ("cost_center", {"scope_id": "c1"}, True),
        ("cost_center", {"scope_id": "c2"}, False),
        ("api_key", {"scope_id": "k1"}, True),
        ("api_key", {"scope_id": "k2"}, False),
        ("user", {"scope_value": "ada"}, True),
        ("user", {"scope_value": "bob"}, False),
    ],
)
def test_a_budget_covers_what_its_scope_holds(
    scope: str,
    named: dict[str, str],
    is_covered: bool,  # noqa: FBT001  a column of the table
) -> None:
    found = catalog(budgets=[budget("b", scope, **named)]).coverage("c1", "k1", "ada")

    assert [b.name for b in found.budgets] == (["b"] if is_covered else [])
    assert found.is_hard == is_covered


def test_only_blocking_budgets_are_hard() -> None:
    soft = [budget(e, "organization", enforcement=e) for e in ("observe", "warn")]

    found = catalog(budgets=soft).coverage(None, "k1", None)

    assert len(found.budgets) == 2
    assert not found.is_hard


@dataclass
class About:
    """What a call is for."""

    feature: str | None = None
    environment: str | None = None


def test_a_budget_with_filters_covers_what_a_possible_target_matches() -> None:
    names = {
        "all": {},
        "route": {"models": ["m"]},
        "provider": {"providers": ["acme"]},
        "other": {"models": ["m"], "providers": ["other"]},
        "feature": {"features": ["chat"]},
        "place": {"environments": ["prod", "test"], "models": ["m"]},
    }
    made = catalog(budgets=[budget(n, "organization", filters=f) for n, f in names.items()])
    over, targets = made.coverage(None, "k1", None), made.targets("m", "openai_chat")

    def found(about: About) -> list[str]:
        return [one.name for one in over.narrowed("m", targets, about).budgets]

    assert found(About()) == ["all", "route", "provider"]
    assert found(About("chat")) == ["all", "route", "provider", "feature"]
    assert found(About("mail", "prod")) == ["all", "route", "provider", "place"]


def test_a_filtered_budget_that_cannot_match_costs_nothing() -> None:
    other = budget("b", "organization", filters={"models": ["other"]}, wait_ms=900)
    made = catalog(budgets=[other, budget("w", "organization", enforcement="warn")])
    over, targets = made.coverage(None, "k1", None), made.targets("m", "openai_chat")

    narrowed = over.narrowed("m", targets, About())

    assert (over.is_hard, over.wait_ms) == (True, 900)
    assert (narrowed.is_hard, narrowed.wait_ms, len(narrowed.budgets)) == (False, 0, 1)


def test_without_filters_nothing_is_judged() -> None:
    made = catalog(budgets=[budget("b", "organization")])
    over = made.coverage(None, "k1", None)

    assert over.narrowed("m", made.targets("m", "openai_chat"), About()) is over


def test_a_period_is_half_open() -> None:
    periods = [{"id": 1, "starts_ms": 10, "ends_ms": 20}, {"id": 2, "starts_ms": 20, "ends_ms": 30}]
    [row] = catalog(budgets=[budget("b", "organization", periods=periods)]).row.budgets

    found = [period_at(row, ms) for ms in (9, 10, 19, 20, 30)]

    assert [period.id if period else None for period in found] == [None, 1, 1, 2, None]


def test_a_missing_period_has_the_bounds_of_its_calendar() -> None:
    made = catalog(budgets=[budget("b", "organization", period="fiscal")])

    window = made.window(made.row.budgets[0], NOW)

    assert window is not None
    assert (window.starts_at.month, window.ends_at.month) == (4, 4)


def test_the_ceiling_is_the_dearest_of_all_targets_and_reachable_tiers() -> None:
    cheap = price(
        1,
        "m",
        {
            "base": {"input": "1", "output": "2"},
            "tiers": [{"above": 1000, "rates": {"input": "5", "output": "9"}}],
        },
    )
    dear = price(2, "n", {"base": {"input": "3", "output": "1"}})
    second = {**UPSTREAM, "id": "u2", "name": "two", "price_multiplier": "2"}
    targets = [
        {"upstream_id": "u1", "provider_model": "m", "position": 0, "weight": 1},
        {"upstream_id": "u2", "provider_model": "n", "position": 1, "weight": 1},
    ]
    made = catalog(
        prices=[cheap, dear],
        upstreams=[UPSTREAM, second],
        routes=[{"name": "r", "targets": targets}],
    )

    low = made.ceiling(made.targets("r", "openai_chat"), 1000, None, NOW)
    high = made.ceiling(made.targets("r", "openai_chat"), 1001, None, NOW)

    assert low is not None
    assert high is not None
    assert (low.of("input"), low.of("output")) == (Decimal(6), Decimal(2))
    assert (high.of("input"), high.of("output")) == (Decimal(6), Decimal(9))


def test_one_target_without_a_price_leaves_no_ceiling() -> None:
    made = catalog()

    assert made.ceiling(made.targets("m", "openai_chat"), 10, None, NOW) is None


def test_a_price_is_chosen_by_its_dates() -> None:
    old = price(1, "m", {"base": {"input": "1"}}, to_ms=NOW)
    new = price(2, "m", {"base": {"input": "2"}}, from_ms=NOW)
    [target] = catalog(prices=[old, new]).targets("m", "openai_chat")

    versions = [target.price_at(ms) for ms in (NOW - 1, NOW)]

    assert [version.version if version else None for version in versions] == [1, 2]


def test_an_unknown_model_has_no_targets() -> None:
    assert catalog().targets("unknown", "openai_chat") == ()


def test_a_target_is_only_asked_in_formats_that_its_kind_speaks() -> None:
    kinds = {"one": "openai_compatible", "two": "gemini", "three": "anthropic"}
    upstreams = [{**UPSTREAM, "id": name, "kind": kind} for name, kind in kinds.items()]
    targets = [
        {"upstream_id": name, "provider_model": "", "position": 0, "weight": 1} for name in kinds
    ]
    made = catalog(upstreams=upstreams, routes=[{"name": "m", "targets": targets}])

    found = {
        form: [
            (target.upstream.row.id, target.upstream.prefix) for target in made.targets("m", form)
        ]
        for form in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
    }

    assert found == {
        "openai_chat": [("one", "/v1"), ("two", "/v1/openai"), ("three", "/v1")],
        "openai_responses": [("one", "/v1")],
        "anthropic_messages": [("three", "/v1")],
        "gemini_generate": [("two", "/v1")],
    }


def listed(*rows: dict[str, Any], own: list[dict[str, Any]]) -> Any:
    """Return the target of the model `m` beside this list of prices."""
    made = catalog(prices=own)
    made.prices = listings.read(rows)
    [target] = made.targets("m", "openai_chat")
    return target


def rate(listing: Any) -> Decimal | None:
    """Return what a token of input costs."""
    if listing is None:
        return None
    found: Decimal = listing.versions[0].card.standard.base.of("input")
    return found


def test_an_answering_model_has_its_own_price_unless_it_is_the_same_by_another_name() -> None:
    same = price(1, "m", {"base": {"input": "1"}}, match={"pattern": "^m-20"})
    other = price(2, "n", {"base": {"input": "5"}})
    override = price(3, "m", {"base": {"input": "0.5"}})

    plain = listed(same, other, own=[])
    assert [rate(plain.other(name)) for name in ("m-2026", "n", "x")] == [1, 5, None]

    special = listed(same, other, own=[override])
    assert [rate(special.other(name)) for name in ("m-2026", "n")] == [Decimal("0.5"), 5]

    only = listed(other, own=[override])  # a deployment: nobody else knows what `m` is
    assert rate(only.other("n")) == Decimal("0.5")


def test_an_upstream_that_stands_nowhere_is_passed_over() -> None:
    nowhere = {**UPSTREAM, "id": "u2", "base_url": ""}
    targets = [
        {"upstream_id": name, "provider_model": "", "position": 0, "weight": 1}
        for name in ("u1", "u2", "gone")
    ]
    made = catalog(upstreams=[UPSTREAM, nowhere], routes=[{"name": "m", "targets": targets}])

    assert [target.upstream.row.id for target in made.targets("m", "openai_chat")] == ["u1"]
