"""The one door from the hot path to PostgreSQL."""
