"""Indexes of passages, in memory and on disk."""
