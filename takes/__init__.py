"""takes: the bundled solo that a first memory is learned from, and the program that wrote it."""

__all__ = ["compose", "notation"]
