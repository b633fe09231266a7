"""The pages of budgets: list, tree, burn-down, refusals, alerts, overrides."""
