"""What is computed from the documents of an index and stored with them."""
