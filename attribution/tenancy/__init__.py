"""Organizations, their people and their cost centers."""
