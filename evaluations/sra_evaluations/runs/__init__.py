"""Run tasks under several settings, here or on Ray."""
