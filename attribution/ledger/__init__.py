"""Money that was spent: append-only entries and what is derived from them."""
