"""The wall between organizations: tenant transactions, scoped managers, row policies."""
