"""Metrics of financial statements, such as a gross margin, computed from rows of the statements by code."""
