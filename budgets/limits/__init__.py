"""Budgets, their limits and their periods."""
