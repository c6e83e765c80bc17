"""The parts of a prompt on which the attention of an answer is measured: its passages, and the gold texts in them."""

from __future__ import annotations

import dataclasses
import itertools

import torch

from sra_evaluations.rivals.changed_prompts import Asked
from sra_rag.generation.engine_protocol import EngineProtocol

__all__ = ["AnswerSpans", "answer_spans"]

Span = tuple[int, int]

_MOST_PARAGRAPHS = 20  # a context with more of them is one long text


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSpans:
    """Passages and gold texts of a prompt as token spans, which may overlap, and the pieces that both consist of.

    Parameters
    ----------
    passages, gold
        Token spans as (start, end) with exclusive end, in the order of the prompt.
    prompt_length
        Number of tokens of the prompt.
    """

    passages: tuple[Span, ...]
    gold: tuple[Span, ...]
    prompt_length: int

    @property
    def pieces(self) -> list[Span]:
        """The spans between all borders of passages and gold texts, without those that are in neither."""
        spans = (*self.passages, *self.gold)
        borders = sorted({border for span in spans for border in span})
        return [piece for piece in itertools.pairwise(borders) if any(_is_in(piece, span) for span in spans)]

    def on_gold(self, shares: torch.Tensor) -> float:
        """Return the share on all gold texts; `shares` has one value for each of `pieces`."""
        return self._sum(shares, self.gold)

    def on_passages(self, shares: torch.Tensor) -> list[float]:
        """Return the share on each passage; `shares` has one value for each of `pieces`."""
        return [self._sum(shares, (passage,)) for passage in self.passages]

    def _sum(self, shares: torch.Tensor, spans: tuple[Span, ...]) -> float:
        pairs = zip(self.pieces, shares.tolist(), strict=True)
        return sum(share for piece, share in pairs if any(_is_in(piece, span) for span in spans))


def answer_spans(engine: EngineProtocol, question: Asked) -> AnswerSpans:
    """Find the passages and the gold texts in the prompt of a question.

    If its example names no passages, they are the paragraphs of the context, unless there are many.
    """
    example = question.example
    whole = engine.encode(example.prompt(), context=example.context, passages=question.passages)
    gold = [
        tuple(engine.encode(example.prompt(), context=part).context_length if part else 0 for part in (before, with_it))
        for before, with_it in example.gold_spans()
    ]
    return AnswerSpans(
        whole.passages if question.passages or len(whole.passages) <= _MOST_PARAGRAPHS else (),
        tuple((first, last) for first, last in gold),
        len(whole.token_ids),
    )


def _is_in(piece: Span, span: Span) -> bool:
    return span[0] <= piece[0] and piece[1] <= span[1]
