"""The task collections of lm-evaluation-harness, with reattention and without; needs the extra ``lm-eval``."""
