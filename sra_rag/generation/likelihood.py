"""How likely a model finds a given answer: one forward pass, nothing generated."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

import torch

from sra_rag.attention.reattend import reattend
from sra_rag.attention.shares import AttentionShares, observing
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ContextOverflowError, PromptError
from sra_rag.evidence.weigh import find_evidence, weigh
from sra_rag.generation.engine import Engine, Prompt
from sra_rag.generation.prefix_cache import cache_argument, dependence
from sra_rag.generation.prompt_reader import PREFILL_CHUNK
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Likelihood
from sra_rag.heads.known import fitted_settings

__all__ = ["answer_likelihood"]


@torch.inference_mode()
def answer_likelihood(
    engine: Engine,
    prompt: Prompt,
    answer: str,
    *,
    context: str | None = None,
    passages: Sequence[str] | None = None,
    passage_scores: Sequence[float] | None = None,
    template_kwargs: Mapping[str, Any] | None = None,
    sra: SRALike = None,
    shares: AttentionShares | None = None,
    cancel: Cancellation | None = None,
) -> Likelihood:
    """Measure how likely an answer is after a prompt, under settings of the attention.

    The row that predicts the first token of the answer is the last row of the prompt, as in generation: under
    ``rows="generated"`` it is not sharpened. Prefills are shared with the engine's requests.

    Parameters
    ----------
    engine
        The model.
    prompt, context, passages, passage_scores, template_kwargs
        As for `Engine.generate`.
    answer
        Text; spellings of control tokens in it stay text.
    sra
        Settings, None for off.
    shares
        Collects where the attention of the answer's tokens falls, the last one's too.
    cancel
        Ends the work before the next chunk of the prompt when it is set.

    Raises
    ------
    CancelledError
        Of `concurrent.futures`, if `cancel` was set.
    PromptError
        If the answer is empty.
    ContextOverflowError
        If prompt and answer do not fit the model's window.
    """
    started = time.perf_counter()
    settings = fitted_settings(SRAConfig.coerce(sra), engine.loaded)
    encoded = engine.encode(
        prompt, context=context, passages=passages, passage_scores=passage_scores, template_kwargs=template_kwargs
    )
    answer_ids = engine.encoder.encode_rendered(engine.encoder.shield(answer)).token_ids
    if not answer_ids or not encoded.token_ids:
        raise PromptError("The prompt or the answer is empty. Give at least one token of each.")
    length = len(encoded.token_ids)
    if length + len(answer_ids) > engine.context_window:
        raise ContextOverflowError(length, len(answer_ids), engine.context_window)
    tokens = [*encoded.token_ids, *answer_ids]
    model, device = engine.loaded.model, engine.loaded.device
    untouched, depends = dependence(settings, encoded.context_length, length)
    evidence = settings.evidence if settings is not None and encoded.has_passages else None
    # The look needs the rows of the question, so no more than the context is taken from an earlier prefill.
    known_tokens = tokens[: encoded.context_length + 1] if evidence is not None else tokens[:length]
    cache, cached = engine.prefixes.take(known_tokens, untouched, depends, model.config)
    known = cache_argument(model, cache)
    with (
        reattend(model, settings, context_length=encoded.context_length, prompt_length=length) as session,
        observing(shares),
    ):
        # As in generation, bounds that are observed are those of the whole prompt, not of a chunk.
        whole = settings is not None and settings.bounds == "observed"
        stops = [length] if whole or not encoded.has_passages else [encoded.context_length, length]
        if settings is not None and settings.evidence is not None and evidence is None and session is not None:
            weigh(session, engine.loaded, settings.evidence, [None], [0], [encoded.context_length])
        logits, start = [], cached
        for stop in stops:
            if stop == length and evidence is not None and session is not None:
                chosen = find_evidence(engine.loaded, cache, encoded, evidence)
                weigh(session, engine.loaded, evidence, [chosen], [0], [encoded.context_length])
            size = length if whole else PREFILL_CHUNK
            for first in range(start, stop, size):
                if cancel is not None and cancel.is_set():
                    raise CancelledError
                chunk = torch.tensor([tokens[first : min(first + size, stop)]], device=device)
                output = model(input_ids=chunk, use_cache=True, logits_to_keep=1, **known)
            start = max(start, stop)
        logits.append(output.logits[0])
        rest = answer_ids[:-1] if shares is None else answer_ids
        if rest:
            output = model(input_ids=torch.tensor([rest], device=device), use_cache=True, **known)
            logits.append(output.logits[0, : len(answer_ids) - 1])
    engine.prefixes.put(tokens, untouched, depends, cache)
    targets = torch.tensor(answer_ids, device=device)
    found = torch.log_softmax(torch.cat(logits).float(), dim=-1).gather(1, targets[:, None])[:, 0]
    return Likelihood(tuple(found.tolist()), length, cached, time.perf_counter() - started)
