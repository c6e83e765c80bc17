"""Distribute work over several machines with Ray."""
