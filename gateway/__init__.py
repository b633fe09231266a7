"""The door: keys in, providers out."""
