"""Pages by their noun."""
