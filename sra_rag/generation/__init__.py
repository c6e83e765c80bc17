"""Generation: from messages to text, one path for blocking, streaming and async callers."""
