"""How many requests, tokens and streams a key, a cost center and an organization may have."""
