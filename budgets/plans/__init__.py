"""Many budgets at once: sheets to fill in, imports and copies, previewed and then applied."""
