"""Scaled ReAttention: the reference, the fast path, and their registration with transformers.

Importing this package, or any module in it, registers the attention ``"sra"`` with transformers. `load_model` does
so too.
"""

from sra_rag.attention.interface import ATTENTION_NAME

__all__ = ["ATTENTION_NAME"]
