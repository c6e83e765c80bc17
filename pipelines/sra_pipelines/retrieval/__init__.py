"""Retrieve, rank and pack the passages for a question."""
