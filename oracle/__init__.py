"""oracle: to be mapped."""
