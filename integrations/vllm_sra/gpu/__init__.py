"""Attention with reattention on GPUs."""
