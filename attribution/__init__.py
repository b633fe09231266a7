"""Who spent what, at which price: organizations, prices, usage, the ledger and its reports."""
