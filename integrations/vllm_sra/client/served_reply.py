"""A streamed reply, collected chunk by chunk."""

from __future__ import annotations

import time
from typing import Any

from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.repetition import find_repetition
from sra_rag.generation.request import Request
from sra_rag.generation.result import FinishReason, FoundEvidence, Generation, Timing, Usage
from vllm_sra.client.prompt_context import VLLMServerError

__all__ = ["Reply", "cached_tokens"]

_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class Reply:
    """The part of an answer that was received so far.

    Parameters
    ----------
    address
        Address of the server, for error messages.
    prompt
        The prompt that is answered.
    request
        The request, with its settings.
    """

    def __init__(self, address: str, prompt: EncodedPrompt, request: Request) -> None:
        self.address = address
        self.prompt = prompt
        self.request = request
        self.text = ""
        self.repeated = False
        self._emitted = 0
        self._stops_repetition = request.options.stop_repetition and request.options.json_schema is None
        self.token_ids: list[int] = []
        self.reason: str | None = None
        self.usage: Any = None
        self.started = time.perf_counter()
        self.first_piece: float | None = None
        self.evidence: FoundEvidence | None = None
        self.look_usage: Any = None

    def add(self, chunk: Any) -> str:
        """Add a chunk of a completion or chat completion; return the text that is certain now and was not before."""
        self.usage = chunk.usage or self.usage
        if not chunk.choices:
            return ""
        [choice] = chunk.choices
        delta = getattr(choice, "delta", None)
        text = (choice.text if delta is None else delta.content) or ""
        token_ids = (choice.model_extra or {}).get("token_ids") or []
        if text or token_ids:
            self.first_piece = self.first_piece or time.perf_counter()
        self.token_ids += token_ids
        self.text += text
        self.reason = choice.finish_reason or self.reason
        return self._emit(self._certain()) if text else ""

    def finish(self) -> str:
        """Return the text that was buffered, after the last chunk."""
        return self._emit(len(self.text))

    def complete(self) -> Generation:
        """Return the complete answer.

        Raises
        ------
        VLLMServerError
            If the server ended the answer for another reason than ``stop`` or ``length``.
        """
        if self.repeated:
            return self._generation("repetition")
        if self.reason not in _REASONS:
            raise VLLMServerError(
                f"{self.address} stopped the answer after {len(self.text)} characters (reason: {self.reason}). "
                "Check the log of the server."
            )
        return self._generation(_REASONS[self.reason])

    def cancelled(self) -> Generation:
        """Return the received part of an answer that was cancelled."""
        return self._generation("cancelled")

    def _certain(self) -> int:
        """Return how many characters of the text are certain, and cut the text if it repeats itself."""
        repetition = find_repetition(self.text) if self._stops_repetition else None
        if repetition is None:
            return len(self.text)
        certain = max(self._emitted, len(self.text[: repetition.start].rstrip()))
        if repetition.loops:
            self.text, self.repeated = self.text[:certain], True
        return certain

    def _emit(self, end: int) -> str:
        delta = self.text[self._emitted : end]
        self._emitted = max(self._emitted, end)
        return delta

    def _generation(self, reason: FinishReason) -> Generation:
        now = time.perf_counter()
        first = self.first_piece or now
        sra = self.request.sra
        return Generation(
            text=self.text,
            finish_reason=reason,
            usage=self._usage(),
            timing=Timing(first - self.started, now - first),
            token_ids=tuple(self.token_ids),
            sra=sra if sra is not None and sra.enabled else None,
            context_length=self.prompt.context_length,
            evidence=self.evidence,
        )

    def _usage(self) -> Usage:
        if self.usage is None:  # sent in the last chunk, so missing after a cancellation
            return Usage(len(self.prompt.token_ids), len(self.token_ids))
        # The look reads the prompt first, and the answer takes the context from it.
        cached = cached_tokens(self.usage if self.look_usage is None else self.look_usage)
        return Usage(self.usage.prompt_tokens, self.usage.completion_tokens, cached)


def cached_tokens(usage: Any) -> int:
    """Return how many tokens of a prompt a server took from an earlier prefill; 0 if it does not report it."""
    details = getattr(usage, "prompt_tokens_details", None)
    return (details.cached_tokens or 0) if details is not None else 0
