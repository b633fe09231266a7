"""Gateway processes that are alive, and what is left of those that are not."""
