"""Return attention through vLLM's sampler, as log-probabilities of the first token.

vLLM has no other channel for numbers from a worker to a client. The answer of a request that returns attention is one
token: the log-probability of token ``i`` is the logarithm of the share of span ``i``, and other tokens have none. If
some rows after the context were not observed, because the request was put off between them, no span has a share.

The shares of passages in each row, where they are asked for, are those of the tokens behind, row by row. The sampler
makes all probabilities sum to 1, so all shares are then divided by one more than the number of rows.

With tensor parallelism every worker samples, and each has observed its own heads. So the workers add up what they know.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from vllm.distributed import tensor_model_parallel_all_reduce
from vllm.v1.sample.sampler import Sampler

from vllm_sra.plugin.observed import distribution, share_sums
from vllm_sra.plugin.request_table import SRALogitsProcessor

if TYPE_CHECKING:
    from vllm.v1.outputs import SamplerOutput
    from vllm.v1.sample.metadata import SamplingMetadata

__all__ = ["return_attention"]

_MARK = "returns_attention_of_sra"
_LEAST = 1e-30  # share of a span without attention; the logarithm of 0 would not differ from that of other tokens


def return_attention() -> None:
    """Make vLLM's sampler return attention where a request asks for it. Repeated calls have no effect.

    vLLM has no public API for this: it computes log-probabilities before its logits processors run. So this wraps the
    sampler. ``tests/vllm_sra/test_evidence.py`` fails if vLLM moves it.
    """
    plain = Sampler.forward
    if getattr(plain, _MARK, False):
        return

    @functools.wraps(plain)
    def returning(
        self: Sampler, logits: torch.Tensor, sampling_metadata: SamplingMetadata, *args: Any, **kwargs: Any
    ) -> SamplerOutput:
        return plain(self, _with_attention(logits, sampling_metadata), sampling_metadata, *args, **kwargs)

    setattr(returning, _MARK, True)
    Sampler.forward = returning


def _with_attention(logits: torch.Tensor, sampling_metadata: SamplingMetadata) -> torch.Tensor:
    """Return the logits, with the rows replaced whose requests return attention."""
    replaced = None
    for processor in sampling_metadata.logitsprocs.argmax_invariant:
        if not isinstance(processor, SRALogitsProcessor):
            continue
        for index, entry in sorted(processor.observed.items()):  # in the same order on all workers
            if index >= len(logits) or entry.look is None:
                continue
            look, asked = entry.look, entry.settings.look
            passages = () if asked is None else asked.passages
            sums = share_sums(look, entry.prompt_length - look.start, passages).to(logits.device)
            shares = distribution(tensor_model_parallel_all_reduce(sums))
            n_shares = len(sums) - 2
            replaced = logits.float().clone() if replaced is None else replaced
            replaced[index] = -torch.inf
            if shares is None:
                replaced[index, n_shares] = 0  # a token of no span
            else:
                replaced[index, :n_shares] = shares.clamp_min(_LEAST).log()
    return logits if replaced is None else replaced
