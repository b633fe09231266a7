"""Wire formats: what was asked, what came back, what it used. Pure."""
