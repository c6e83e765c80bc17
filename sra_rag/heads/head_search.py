"""Find the evidence heads of a model: those that look at the passage that answers a question.

Retrieval heads (Wu et al. 2024, arXiv 2404.15574), scored by the attention that the rows of a question give to the
passages (QRHead, arXiv 2506.09944). Neither labels nor documents of the user are needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from transformers import DynamicCache

from sra_rag.attention.reattend import reattend
from sra_rag.evidence.choice import look_at_context
from sra_rag.generation.prefix_cache import cache_argument
from sra_rag.generation.prompts import EncodedPrompt, PromptEncoder
from sra_rag.heads.probes import Probe, make_probes
from sra_rag.models.loading import LoadedModel

__all__ = ["EvidenceHead", "find_evidence_heads"]

N_PROBES = 40
_INSTRUCTION = "Answer the question from the passages below and from nothing else, with a few words."


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceHead:
    """A head and how well it finds the passage that answers a question.

    Parameters
    ----------
    layer, head
        Indices of the attention layer and of the query head in it.
    share
        Mean share of the right passage in the attention that the head gives to all passages, in [0, 1]; chance is 1
        divided by the number of passages.
    accuracy
        How often it gives the right passage most, in [0, 1].
    """

    layer: int
    head: int
    share: float
    accuracy: float


@torch.inference_mode()
def find_evidence_heads(
    model: LoadedModel,
    *,
    probes: Sequence[Probe] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[EvidenceHead]:
    """Rank all heads of a model by how well they find the passage that answers a question.

    Parameters
    ----------
    model
        From `sra_rag.load_model`.
    probes
        Questions with their passages; by default 40 about invented contracts, reports, manuals, tables and persons.
    progress
        Called after each question with the number that are done and the number of all.

    Returns
    -------
    heads
        All heads, best first.
    """
    probes = make_probes(N_PROBES) if probes is None else probes
    encoder = PromptEncoder(model.tokenizer)
    text = model.model.config.get_text_config(decoder=True)
    n_layers, n_heads = text.num_hidden_layers, text.num_attention_heads
    share = torch.zeros(n_layers * n_heads, dtype=torch.float64)
    first = torch.zeros_like(share)
    for done, probe in enumerate(probes, start=1):
        prompt = encode_probe(encoder, probe)
        cache = _read_context(model, prompt)
        looked = look_at_context(model.model, cache, prompt, None, prompt.passages).shares().double()
        share += looked[:, probe.gold] / looked.sum(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        first += looked.argmax(dim=1) == probe.gold
        if progress is not None:
            progress(done, len(probes))
    share, first = share / len(probes), first / len(probes)
    order = share.argsort(descending=True, stable=True).tolist()
    return [EvidenceHead(i // n_heads, i % n_heads, float(share[i]), float(first[i])) for i in order]


def encode_probe(encoder: PromptEncoder, probe: Probe) -> EncodedPrompt:
    """Write a probe as a prompt."""
    return encode_question(encoder, probe.question, probe.passages)


def encode_question(encoder: PromptEncoder, question: str, texts: Sequence[str]) -> EncodedPrompt:
    """Write a question below numbered passages, through the chat template where the model has one.

    Evidence heads are found with this prompt, and passages are ranked with it.
    """
    passages = [f"Passage {number}\n{text}" for number, text in enumerate(texts, start=1)]
    context = "\n\n".join(passages)
    content = f"{_INSTRUCTION}\n\n{context}\n\nQuestion: {question}"
    if encoder.has_chat_template:
        return encoder.encode_messages([{"role": "user", "content": content}], context=context, passages=passages)
    return encoder.encode_text(f"{content}\nAnswer:", context=context, passages=passages)


def _read_context(model: LoadedModel, prompt: EncodedPrompt) -> DynamicCache:
    cache = DynamicCache(config=model.model.config)
    context = torch.tensor([prompt.token_ids[: prompt.context_length]], device=model.device)
    with reattend(model.model, None):
        model.model(input_ids=context, use_cache=True, logits_to_keep=1, **cache_argument(model.model, cache))
    return cache
