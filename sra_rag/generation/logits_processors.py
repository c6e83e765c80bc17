"""How the next token is drawn: no end directly after a colon, and a sampler that a seed reproduces."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from sra_rag.generation.sampling import SamplingOptions

__all__ = ["NoEndAfterColon", "logits_processors"]

_TAIL = 4  # tokens: a colon with line breaks after it; a model that writes only line breaks may end
_COLONS = (":", "\N{FULLWIDTH COLON}")


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


class NoEndAfterColon(LogitsProcessor):
    """Masks the end tokens of each sequence whose last text, without spaces, is a colon.

    Small models sometimes end an answer at "The answer is:". Here what was introduced follows.

    Parameters
    ----------
    tokenizer
        Tokenizer of the model.
    prompt_length
        Tokens of the padded prompt, which are not looked at.
    end_tokens
        Tokens that end an answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt_length: int, end_tokens: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._prompt_length = prompt_length
        self._end_tokens = sorted(end_tokens)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits ``(B, vocabulary)``, those of end tokens ``-inf`` where an answer cannot end."""
        answers = input_ids[:, self._prompt_length :][:, -_TAIL:].tolist()
        tails = [str(self._tokenizer.decode(tokens)).rstrip() for tokens in answers]
        rows = [row for row, tail in enumerate(tails) if tail.endswith(_COLONS)]
        if not rows or not self._end_tokens:
            return scores
        masked = scores.clone()
        masked[torch.tensor(rows)[:, None], torch.tensor(self._end_tokens)] = float("-inf")
        return masked
