"""What a request returns: the text, why it ended, what it cost and with which settings it was made."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sra_rag.config import SRAConfig

__all__ = ["FinishReason", "FoundEvidence", "Generation", "Likelihood", "TextDelta", "Timing", "Usage"]

FinishReason = Literal["stop", "length", "cancelled"]


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request.

    Parameters
    ----------
    prompt_tokens
        In the prompt, control tokens included.
    completion_tokens
        Generated, the one that ended the answer included.
    cached_tokens
        How many of the prompt's were taken from an earlier prefill.
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
    """Seconds until the first token was chosen, and from there to the end.

    In a batch, those of the whole batch.
    """

    prefill_seconds: float
    decode_seconds: float

    @property
    def total_seconds(self) -> float:
        """Prefill and decode together."""
        return self.prefill_seconds + self.decode_seconds


@dataclasses.dataclass(frozen=True, slots=True)
class FoundEvidence:
    """What the model's evidence heads looked at while the question was read.

    Parameters
    ----------
    shares
        For each passage of the context its share of the attention that these heads give to all passages; they sum
        to 1.
    chosen
        The passages whose keys were weighed, best first; empty where none stood out.
    best_lines
        For each passage the index of its line that got the most attention a token.
    spans
        The tokens that were weighed: the first of each span and the one after its last, ascending.
    """

    shares: tuple[float, ...]
    chosen: tuple[int, ...]
    best_lines: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    Parameters
    ----------
    text
        Without special tokens and without the stop text.
    finish_reason
        ``"stop"`` (the model ended it, or a stop text came), ``"length"`` or ``"cancelled"``.
    usage, timing
        What it cost.
    token_ids
        The generated tokens, also those of a stop text.
    sra
        The settings in force, None for off.
    context_length
        Leading tokens of the prompt that counted as context.
    evidence
        What the model's evidence heads looked at, where the settings weigh evidence and the context has passages.
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
        What is new.
    generation
        The whole answer, on the last piece only.
    """

    text: str
    generation: Generation | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Likelihood:
    """The probability of an answer, token by token.

    Parameters
    ----------
    log_probabilities
        Of each token of the answer given all before it, in nats.
    prompt_tokens, cached_tokens
        In the prompt, and how many of them were taken from an earlier prefill.
    seconds
        What it took.
    """

    log_probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    seconds: float

    @property
    def nats(self) -> float:
        """Negative log-likelihood of the whole answer; lower is likelier."""
        return -sum(self.log_probabilities)

    @property
    def nats_per_token(self) -> float:
        """Mean negative log-likelihood of a token."""
        return self.nats / len(self.log_probabilities)
