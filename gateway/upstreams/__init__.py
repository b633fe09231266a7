"""Provider accounts."""
