"""Public model names and where they lead."""
