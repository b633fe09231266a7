"""What budgets will have cost when their periods end."""
