"""Answer questions with citations, individually or in a conversation."""
