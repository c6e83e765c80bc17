"""Find the evidence of a question in its context: which passage the model's evidence heads look at.

The rows of the question are read once for the look and read again with the weights. The look leaves no trace: what it
added to the key/value cache is removed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from sra_rag.attention.look import Look, looking
from sra_rag.attention.reattend import reattend
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.generation.prefix_cache import cache_argument
from sra_rag.generation.prompts import EncodedPrompt, Span
from sra_rag.generation.result import FoundEvidence

__all__ = ["choose_evidence", "look_at_context"]


@torch.inference_mode()
def look_at_context(
    model: PreTrainedModel,
    cache: DynamicCache,
    prompt: EncodedPrompt,
    heads: Sequence[tuple[int, int]] | None,
    spans: Sequence[Span],
) -> torch.Tensor:
    """Read the rows after the context and return where heads look.

    Parameters
    ----------
    model
        On sra-rag's attention.
    cache
        Holds the context, and nothing after it; left as it was.
    prompt
        The whole prompt; at least one of its tokens is after the context.
    heads
        ``(layer, query head)`` of the heads that look; None for all.
    spans
        Tokens of the context that are told apart: the first of each span and the one after its last, ascending.

    Returns
    -------
    shares
        ``(heads, spans)``, float32: mean share of attention over the rows, heads in ascending order.
    """
    look = Look(spans, prompt.context_length, heads)
    rows = torch.tensor([prompt.token_ids[prompt.context_length :]], device=model.device)
    cache.activate_past_recording()
    with reattend(model, None), looking(look):
        model(input_ids=rows, use_cache=True, logits_to_keep=1, **cache_argument(model, cache))
    cache.crop(-rows.shape[1])
    return look.shares()


def choose_evidence(prompt: EncodedPrompt, look: torch.Tensor, config: EvidenceConfig) -> FoundEvidence:
    """Choose what is weighed: each head that looks has the same say, however much attention it gives to the context.

    Parameters
    ----------
    prompt
        Its passages and their lines.
    look
        ``(heads, lines)``: attention of the heads that look on each line of all passages, in their order.
    config
        How many passages, lines or passages, and the gate.
    """
    look = look.double()
    by_line = (look / look.sum(dim=1, keepdim=True).clamp_min(torch.finfo(look.dtype).tiny)).mean(dim=0)
    by_passage = by_line.split([len(spans) for spans in prompt.lines])
    shares = torch.stack([line_shares.sum() for line_shares in by_passage])
    best_lines = []
    for line_shares, spans in zip(by_passage, prompt.lines, strict=True):
        lengths = torch.tensor([last - first for first, last in spans])
        best_lines.append(int((line_shares / lengths).argmax()))
    ranked = shares.argsort(descending=True, stable=True).tolist()
    chosen = ranked[: config.passages]
    others = (1 - float(shares[ranked[0]])) / max(1, len(by_passage) - 1)
    if float(shares[ranked[0]]) < config.gate * others:
        chosen = []
    weighed = [
        prompt.lines[number][best_lines[number]] if config.unit == "line" else prompt.passages[number]
        for number in chosen
    ]
    return FoundEvidence(tuple(shares.tolist()), tuple(chosen), tuple(best_lines), tuple(sorted(weighed)))
