"""Recognize what the pages of a document are: financial statements, notes, items of a filing, clauses."""
