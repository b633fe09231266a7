"""Metered calls."""
