"""Checks of an answer by code, against the passages it was given."""
