"""Calls that leave the house and the addresses they may reach."""
