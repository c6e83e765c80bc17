"""Read prompts into a key/value cache before the answer is generated: from an earlier prefill on, and in chunks.

The context and the question are read separately where evidence needs the rows of the question by themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from transformers import DynamicCache

from sra_rag.attention.reattend import reattend
from sra_rag.attention.session import Session
from sra_rag.config import SRAConfig
from sra_rag.evidence.weigh import find_evidence, weigh
from sra_rag.generation.monitor import Monitor
from sra_rag.generation.prefix_cache import PrefixCache, cache_argument, dependence, joined, keeps_all
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.request import Request
from sra_rag.generation.result import FoundEvidence
from sra_rag.models.loading import LoadedModel

__all__ = ["PREFILL_CHUNK", "Batch", "PromptReader", "Reading", "padded"]

PREFILL_CHUNK = 1024  # tokens; between chunks a request can be cancelled, and activations stay small
_LONG = 256  # tokens; so many fill a device by themselves: padding them for a batch would only add work


@dataclasses.dataclass(slots=True)
class Reading:
    """What was read of the prompts before `generate`: the cache, tokens from earlier prefills, and the evidence."""

    cache: DynamicCache | None = None
    cached: list[int] = dataclasses.field(default_factory=list)
    found: list[FoundEvidence | None] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Prompts padded at their beginning to one length, and the padded lengths of their contexts."""

    input_ids: torch.Tensor
    mask: torch.Tensor
    length: int
    padding: list[int]
    contexts: list[int]


def padded(prompts: Sequence[EncodedPrompt], pad_id: int, device: torch.device) -> Batch:
    """Pad prompts at their beginning with `pad_id` to the length of the longest."""
    length = max(len(prompt.token_ids) for prompt in prompts)
    padding = [length - len(prompt.token_ids) for prompt in prompts]
    rows = [[pad_id] * pad + list(prompt.token_ids) for pad, prompt in zip(padding, prompts, strict=True)]
    return Batch(
        torch.tensor(rows, device=device),
        torch.tensor([[0] * pad + [1] * (length - pad) for pad in padding], device=device),
        length,
        padding,
        [pad + prompt.context_length for pad, prompt in zip(padding, prompts, strict=True)],
    )


class PromptReader:
    """Reads the prompts of one request.

    Parameters
    ----------
    model
        The model, within `reattend`.
    prefixes
        Earlier prefills.
    monitor
        Reports whether the request was cancelled.
    """

    def __init__(self, model: LoadedModel, prefixes: PrefixCache, monitor: Monitor) -> None:
        self.loaded = model
        self.prefixes = prefixes
        self.monitor = monitor

    def read(self, prompt: EncodedPrompt, sra: SRAConfig | None, session: Session | None) -> Reading:
        """Read one prompt on from an earlier prefill, up to what `generate` reads itself: its last chunk."""
        token_ids, length = list(prompt.token_ids), len(prompt.token_ids)
        weighs = sra is not None and sra.evidence is not None and prompt.has_passages
        untouched, settings = dependence(sra, prompt.context_length, length)
        # The look needs the rows of the question, so no more than the context is taken from an earlier prefill.
        known = token_ids[: prompt.context_length + 1] if weighs else token_ids
        cache, cached = self.prefixes.take(known, untouched, settings, self.loaded.model.config)
        input_ids = torch.tensor([token_ids], device=self.loaded.device)
        # Observed bounds are those of a whole prompt, not of a chunk, and stay with the session that saw it.
        if sra is not None and sra.bounds == "observed":
            return Reading(cache, [cached])
        start = cached
        if prompt.has_passages and start < prompt.context_length:
            # Read separately to the end of the context with all settings, so that its keys and values are the same.
            self._prefill(input_ids, cache, start, prompt.context_length)
            start = prompt.context_length
        found: list[FoundEvidence | None] = []
        if session is not None and sra is not None and sra.evidence is not None and not self.monitor.cancelled():
            if prompt.has_passages:
                found = [find_evidence(self.loaded, cache, prompt, sra.evidence)]
            weigh(session, self.loaded, sra.evidence, found or [None], [0], [prompt.context_length])
        whole = (length - start - 1) // PREFILL_CHUNK * PREFILL_CHUNK
        self._prefill(input_ids, cache, start, start + whole)
        return Reading(cache, [cached], found)

    def _prefill(self, input_ids: torch.Tensor, cache: DynamicCache, start: int, stop: int) -> None:
        """Read tokens of a prompt into `cache`, which holds those before `start`."""
        model = self.loaded.model
        while start < stop and not self.monitor.cancelled():
            chunk = input_ids[:, start : min(start + PREFILL_CHUNK, stop)]
            model(input_ids=chunk, use_cache=True, logits_to_keep=1, **cache_argument(model, cache))
            start += PREFILL_CHUNK

    def read_batch(self, request: Request, longest: int) -> Reading:
        """Read the prompts of a batch one by one, continuing earlier prefills, except for their last tokens.

        Short prompts, and those of models whose caches forget, are only looked at where evidence is asked for:
        `generate` reads them in one batch.
        """
        model, sra = self.loaded.model, request.sra
        observed = sra is not None and sra.bounds == "observed"
        one_by_one = longest >= _LONG and not observed and keeps_all(DynamicCache(config=model.config))
        reading = Reading(None, [0] * len(request.prompts), [])
        if not one_by_one and (sra is None or sra.evidence is None):
            return reading
        caches = []
        with self.prefixes.room(len(request.prompts)):
            for index, prompt in enumerate(request.prompts):
                length = len(prompt.token_ids)
                with reattend(model, sra, context_length=prompt.context_length, prompt_length=length) as session:
                    one = self.read(prompt, sra, session)
                    reading.found.append(one.found[0] if one.found else None)
                    if self.monitor.cancelled():
                        return Reading(None, [0] * len(request.prompts), [])
                    if one.cache is None or not one_by_one:
                        continue
                    input_ids = torch.tensor([prompt.token_ids], device=self.loaded.device)
                    self._prefill(input_ids, one.cache, one.cache.get_seq_length(), length - 1)
                if self.monitor.cancelled():
                    return Reading(None, [0] * len(request.prompts), [])
                untouched, settings = dependence(sra, prompt.context_length, length)
                self.prefixes.put(list(prompt.token_ids)[:-1], untouched, settings, one.cache)
                caches.append(one.cache)
                reading.cached[index] = one.cached[0]
        if caches:
            reading.cache = joined(caches, model.config)
        if not any(reading.found):
            reading.found = []
        return reading
