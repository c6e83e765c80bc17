"""Scaled ReAttention: the reference, the fast path, and how a transformers model comes to use it."""
