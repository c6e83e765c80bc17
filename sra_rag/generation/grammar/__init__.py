"""Grammars of JSON schemas: limits on a schema, and the process that compiles it."""
