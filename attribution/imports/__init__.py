"""Files of other systems, read through a column mapping."""
