"""Charts and pages of spend alone."""
