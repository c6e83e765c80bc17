"""Attention with reattention on CPUs."""
