"""From a question to a cited answer, once or in a conversation."""
