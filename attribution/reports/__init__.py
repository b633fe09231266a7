"""Reads rollups and returns frozen values; never writes, never renders."""
