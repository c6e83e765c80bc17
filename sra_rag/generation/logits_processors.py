"""How the next token is drawn: a sampler that a seed reproduces."""

from __future__ import annotations

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from sra_rag.generation.sampling import SamplingOptions

__all__ = ["logits_processors"]


def logits_processors(options: SamplingOptions, batch_size: int) -> LogitsProcessorList:
    """Return what makes greedy search draw from the options' distribution; empty at temperature 0."""
    processors = LogitsProcessorList()
    if options.temperature == 0:
        return processors
    processors.append(TemperatureLogitsWarper(float(options.temperature)))
    if options.top_k is not None:
        processors.append(TopKLogitsWarper(options.top_k))
    if options.top_p is not None and options.top_p < 1:
        processors.append(TopPLogitsWarper(options.top_p))
    if options.min_p is not None:
        processors.append(MinPLogitsWarper(options.min_p))
    if options.typical_p is not None and options.typical_p < 1:
        processors.append(TypicalLogitsWarper(options.typical_p))
    processors.append(_GumbelNoise(options.seed, batch_size))
    return processors


class _GumbelNoise(LogitsProcessor):
    """Adds noise under which the greatest logit is an exact draw from their softmax (the Gumbel-max trick).

    transformers draws from the process-wide generator, which requests in other threads share; here each sequence
    has its own, so a seed reproduces whatever else runs, alone or in a batch.
    """

    def __init__(self, seed: int | None, batch_size: int) -> None:
        self.generators = [torch.Generator() for _ in range(batch_size)]
        for generator in self.generators:
            generator.seed() if seed is None else generator.manual_seed(seed)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        noise = torch.stack([torch.empty(scores.shape[-1]).exponential_(generator=g) for g in self.generators])
        return scores - noise.log().to(scores.device)
