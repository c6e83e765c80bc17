"""The parts of the plugin that run in every vLLM process, on any device."""
