"""How much may be spent: limits, reservations, alerts."""
