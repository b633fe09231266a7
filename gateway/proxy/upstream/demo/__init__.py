"""The built-in demo upstream: answers offline in every wire format."""
