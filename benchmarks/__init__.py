"""benchmarks: to be mapped."""
