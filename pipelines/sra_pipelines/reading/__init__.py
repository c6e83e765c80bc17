"""Find files, read them in worker processes, and split documents into passages."""
