"""Filled-in forms of budgets, as a browser sends them."""

from budgets.limits.models import Budget

ADD = "/admin/budgets/budget/add/"
KEPT = {"rollover": "none", "rollover_cap_unit": "percent"}
NO_THRESHOLDS = {"thresholds-TOTAL_FORMS": "0", "thresholds-INITIAL_FORMS": "0"}


def filled(**changed: str) -> dict[str, str]:
    """Return a form that is valid, with some answers changed."""
    answers = {
        "name": "Marketing",
        "covers": "organization",
        "limit": "500",
        "enforcement": "block",
        "period": "month",
        "wait_ms": "2000",
        **KEPT,
        **NO_THRESHOLDS,
    }
    return answers | changed


def point(number: int, value: str, **changed: str) -> dict[str, str]:
    """Return a threshold as the form sends it, of actual spend unless changed."""
    answers = {"basis": "actual", "value": value, "unit": "percent", "quantile": "p50", "hours": ""}
    return {f"thresholds-{number}-{name}": text for name, text in (answers | changed).items()}


def change_url(budget: Budget) -> str:
    """Return the form of a budget."""
    return f"/admin/budgets/budget/{budget.pk}/change/"


def changed(name: str, **answers: str) -> dict[str, str]:
    """Return a valid form of a budget that exists."""
    usual = {"name": name, "limit": "100", "enforcement": "block", "wait_ms": "2000"}
    return {**usual, **KEPT, **NO_THRESHOLDS, **answers}
