"""Checks of an answer by code, against the passages in its prompt."""
