"""realtime: to be mapped."""
