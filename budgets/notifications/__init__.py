"""Messages owed to people, and how they travel."""
