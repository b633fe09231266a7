"""Thresholds crossed, each once."""
