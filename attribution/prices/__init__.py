"""What a token costs, when."""
