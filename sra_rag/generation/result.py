"""Results of requests: the text, the finish reason, token usage, timing and settings."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sra_rag.config import SRAConfig

__all__ = ["FinishReason", "FoundEvidence", "Generation", "Likelihood", "TextDelta", "Timing", "Usage"]

FinishReason = Literal["stop", "length", "repetition", "cancelled"]


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request.

    Parameters
    ----------
    prompt_tokens
        Number of tokens of the prompt, including control tokens.
    completion_tokens
        Number of generated tokens, including the end token.
    cached_tokens
        Number of prompt tokens that were reused from an earlier prefill.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Seconds until the first token, and from the first token to the end.

    For a batch, the times of the whole batch.
    """

    prefill_seconds: float
    decode_seconds: float

    @property
    def total_seconds(self) -> float:
        """Prefill and decode together."""
        return self.prefill_seconds + self.decode_seconds


@dataclasses.dataclass(frozen=True, slots=True)
class FoundEvidence:
    """What the evidence heads of the model attended to while they processed the question.

    Parameters
    ----------
    shares
        For each passage of the context, its share of the attention of these heads to all passages; they sum to 1.
    chosen
        Indices of the passages whose keys were weighed, best first; empty if the gate was not passed.
    best_lines
        For each passage, the index of its best line (a row, an item or a sentence), by attention and shared words.
    spans
        Token spans that were weighed, as (start, end) with exclusive end, ascending. Where other passages count less,
        it is everything but these, and the end of the last span is `sra_rag.attention.evidence.TO_END`.
    weights
        The weight of each span.
    """

    shares: tuple[float, ...]
    chosen: tuple[int, ...]
    best_lines: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    Parameters
    ----------
    text
        The text, without special tokens and without the stop text.
    finish_reason
        ``"stop"`` (an end token or a stop text), ``"length"``, ``"repetition"`` (the answer repeated itself and was cut
        before the repetition) or ``"cancelled"``.
    usage, timing
        Token usage and timing.
    token_ids
        The generated tokens, including those of a stop text.
    sra
        Effective attention settings; None for off.
    context_length
        Number of leading prompt tokens that were treated as context.
    evidence
        What the evidence heads attended to, if the settings weigh evidence and the context has passages.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    timing: Timing
    token_ids: tuple[int, ...]
    sra: SRAConfig | None
    context_length: int
    evidence: FoundEvidence | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return dataclasses.asdict(self) | {
            "token_ids": list(self.token_ids),
            "sra": None if self.sra is None else self.sra.to_dict(),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of a streamed answer.

    Parameters
    ----------
    text
        The new text.
    generation
        The complete result, with the last piece only.
    """

    text: str
    generation: Generation | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Likelihood:
    """The probability of an answer, token by token.

    Parameters
    ----------
    log_probabilities
        Log probability of each token of the answer given all preceding tokens, in nats.
    prompt_tokens, cached_tokens
        Number of prompt tokens, and of those reused from an earlier prefill.
    seconds
        Duration in seconds.
    """

    log_probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    seconds: float

    @property
    def nats(self) -> float:
        """Negative log-likelihood of the whole answer; lower is more likely."""
        return -sum(self.log_probabilities)

    @property
    def nats_per_token(self) -> float:
        """Mean negative log-likelihood per token."""
        return self.nats / len(self.log_probabilities)
