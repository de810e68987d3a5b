"""Tests mirror the packages; each name is a claim."""
