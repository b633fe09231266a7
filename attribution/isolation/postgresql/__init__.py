"""A PostgreSQL backend whose connections refuse tenant tables outside a tenant transaction."""
