"""The one door to providers."""
