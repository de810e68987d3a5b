"""models: to be mapped."""
