"""Context-aware decoding (Shi et al., arXiv 2305.14739): probabilities move away from those without the context.

The probabilities of the next token are ``softmax((1 + strength) * log p(with context) - strength * log p(without))``,
which is classifier-free guidance with a scale of ``1 + strength``: transformers has it. Decoding is greedy, one
prompt at a time, and each token takes two forward passes of the model.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import UnbatchedClassifierFreeGuidanceLogitsProcessor

from sra_evaluations.examples import Example
from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.result import Generation, Likelihood, Timing, Usage
from sra_rag.models.loading import LoadedModel

__all__ = ["answer_with_context", "likelihood_with_context"]


@torch.inference_mode()
def answer_with_context(
    engine: EngineProtocol, example: Example, strength: float, *, max_new_tokens: int
) -> Generation:
    """Answer an example by context-aware decoding.

    Parameters
    ----------
    engine
        A model in this process.
    example
        Example with the question and its context.
    strength
        How far the probabilities move; 0 would be ordinary decoding.
    max_new_tokens
        Maximum number of tokens of the answer.

    Raises
    ------
    ConfigError
        If the model is on a server.
    ContextOverflowError
        If prompt and answer do not fit the context window.
    """
    loaded = _loaded(engine)
    with_context, without = _prompts(engine, example)
    length = with_context.shape[1]
    if length + max_new_tokens > engine.context_window:
        raise ContextOverflowError(length, max_new_tokens, engine.context_window)
    clock = _Clock()
    guidance = UnbatchedClassifierFreeGuidanceLogitsProcessor(1 + strength, loaded.model, unconditional_ids=without)
    output: Any = loaded.model.generate(
        with_context,
        attention_mask=torch.ones_like(with_context),
        generation_config=GenerationConfig(
            do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=_ends(loaded), pad_token_id=_ends(loaded)[0]
        ),
        logits_processor=LogitsProcessorList([guidance, clock]),
    )
    ended = time.perf_counter()
    token_ids = tuple(output[0, length:].tolist())
    return Generation(
        text=loaded.tokenizer.decode(token_ids, skip_special_tokens=True),
        finish_reason="stop" if token_ids[-1:] and token_ids[-1] in _ends(loaded) else "length",
        usage=Usage(length, len(token_ids)),
        timing=Timing(clock.first - clock.started, ended - clock.first),
        token_ids=token_ids,
        sra=None,
        context_length=0,
    )


@torch.inference_mode()
def likelihood_with_context(engine: EngineProtocol, example: Example, answer: str, strength: float) -> Likelihood:
    """Measure how likely an answer is; the other arguments are those of `answer_with_context`."""
    started = time.perf_counter()
    loaded = _loaded(engine)
    ids = loaded.tokenizer(answer, add_special_tokens=False, return_tensors="pt").input_ids.to(loaded.device)
    prompts = _prompts(engine, example)
    length = prompts[0].shape[1]
    if length + ids.shape[1] > engine.context_window:
        raise ContextOverflowError(length, ids.shape[1], engine.context_window)
    log_probabilities = []
    for prompt in prompts:
        output = loaded.model(torch.cat([prompt, ids], dim=1), logits_to_keep=ids.shape[1] + 1)
        log_probabilities.append(torch.log_softmax(output.logits[0, :-1].float(), dim=-1))
    moved = (1 + strength) * log_probabilities[0] - strength * log_probabilities[1]
    found = torch.log_softmax(moved, dim=-1).gather(1, ids[0][:, None])[:, 0]
    return Likelihood(tuple(found.tolist()), length, 0, time.perf_counter() - started)


class _Clock(LogitsProcessor):
    """Records the time of the first token."""

    def __init__(self) -> None:
        self.started = self.first = time.perf_counter()
        self._waiting = True

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._waiting:
            self.first, self._waiting = time.perf_counter(), False
        return scores


def _prompts(engine: EngineProtocol, example: Example) -> list[torch.Tensor]:
    """Return the tokens of the prompt with its context, and without it."""
    device = _loaded(engine).device
    prompts = (example.prompt(), dataclasses.replace(example, context="").prompt())
    return [torch.tensor([engine.encode(prompt).token_ids], device=device) for prompt in prompts]


def _loaded(engine: EngineProtocol) -> LoadedModel:
    if engine.loaded is None:
        raise ConfigError(
            "context_aware needs a model in this process. Leave --engine out, or leave context_aware out."
        )
    return engine.loaded


def _ends(loaded: LoadedModel) -> list[int]:
    known = loaded.model.generation_config.eos_token_id
    ends = [known] if isinstance(known, int) else list(known or ())
    return list(dict.fromkeys([*ends, *filter(lambda token: token is not None, [loaded.tokenizer.eos_token_id])]))
