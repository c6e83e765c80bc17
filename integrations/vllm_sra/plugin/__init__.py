"""What runs in each process of vLLM, on any device."""
