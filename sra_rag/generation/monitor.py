"""Receives each token when it is chosen, and decides when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from transformers import StoppingCriteria

from sra_rag.errors import GenerationTimeoutError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import FinishReason, Timing
from sra_rag.generation.text import TextAssembler

__all__ = ["Monitor"]


class Monitor(StoppingCriteria):
    """Collects text, records times and reasons, and stops answers that are complete, cancelled or late.

    Parameters
    ----------
    assemblers
        One per sequence.
    prompt_length
        Tokens of the padded prompt.
    end_tokens
        Tokens that end an answer.
    cancel
        Ends all sequences when set.
    timeout
        Seconds from now after which `GenerationTimeoutError` is raised.
    on_text
        Told of each piece of text: index of the sequence, text.
    """

    def __init__(
        self,
        assemblers: list[TextAssembler],
        prompt_length: int,
        end_tokens: frozenset[int],
        cancel: Cancellation,
        timeout: float | None,
        on_text: Callable[[int, str], None] | None,
    ) -> None:
        self.assemblers = assemblers
        self.seen = prompt_length
        self.end_tokens = end_tokens
        self.cancel = cancel
        self.timeout = timeout
        self.on_text = on_text
        self.token_ids: list[list[int]] = [[] for _ in assemblers]
        self.reasons: list[FinishReason | None] = [None] * len(assemblers)
        self.started = time.perf_counter()
        self.first_token: float | None = None

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        """Take the newest tokens; return which sequences are done."""
        self.first_token = self.first_token or time.perf_counter()
        for tokens in input_ids[:, self.seen :].T.tolist():
            for index, token in enumerate(tokens):
                if self.reasons[index] is None:
                    self._add(index, token)
        self.seen = input_ids.shape[1]
        stop = self.cancelled()
        return torch.tensor([stop or reason is not None for reason in self.reasons], device=input_ids.device)

    def cancelled(self) -> bool:
        """Whether the work is to end; raises where it is late."""
        if self.timeout is not None and time.perf_counter() - self.started > self.timeout:
            written = max(len(tokens) for tokens in self.token_ids)
            raise GenerationTimeoutError(
                f"The answer was not done after timeout={self.timeout} s, with {written} tokens written. Allow more "
                "seconds, or fewer tokens (max_new_tokens, or fewer passages)."
            )
        return self.cancel.is_set()

    def finish(self) -> list[TextAssembler]:
        """Hand over the text that was buffered."""
        for index, assembler in enumerate(self.assemblers):
            self._emit(index, assembler.finish())
        return self.assemblers

    def timing(self) -> Timing:
        """Seconds so far."""
        now = time.perf_counter()
        first = self.first_token or now
        return Timing(first - self.started, now - first)

    def _add(self, index: int, token: int) -> None:
        self.token_ids[index].append(token)
        if token in self.end_tokens:
            self.reasons[index] = "stop"
            return
        self._emit(index, self.assemblers[index].add(token))
        if self.assemblers[index].stopped:
            self.reasons[index] = "repetition" if self.assemblers[index].repeated else "stop"

    def _emit(self, index: int, text: str) -> None:
        if text and self.on_text is not None:
            self.on_text(index, text)
