"""Find the evidence of a question in its context: which passage the model's evidence heads look at.

The rows of the question are read once for the look and read again with the weights. The look leaves no trace: what it
added to the key/value cache is removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from sra_rag.attention.evidence import TO_END
from sra_rag.attention.look import Look, looking, mean_shares
from sra_rag.attention.reattend import reattend
from sra_rag.evidence.words import WordMatch, standardized
from sra_rag.evidence_config import EvidenceConfig, Gate
from sra_rag.generation.prefix_cache import cache_argument
from sra_rag.generation.prompts import EncodedPrompt, Span
from sra_rag.generation.result import FoundEvidence

__all__ = ["choose_evidence", "look_at_context", "named_passages"]

_AGREE = 2  # of attention, words of the passage, best line, and the search
_MAINLY, _NAMING = 0.5, 2  # of the attention of a word; words that name a passage
_FULL_BESIDE = 16  # tokens beside the chosen passages from which weights count in full
_GATE_WITHOUT_WORDS = 2.25  # times the attention of the others' mean: docs/measurements.md has the shares by gate


@torch.inference_mode()
def look_at_context(
    model: PreTrainedModel,
    cache: DynamicCache,
    prompt: EncodedPrompt,
    heads: Sequence[tuple[int, int]] | None,
    spans: Sequence[Span],
    *,
    by_row: bool = False,
) -> Look:
    """Read the rows after the context and see where heads look.

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
    by_row
        Whether the rows are told apart too.

    Returns
    -------
    look
        With the shares of attention of all rows after the context.
    """
    look = Look(spans, prompt.context_length, heads, by_row=by_row)
    rows = torch.tensor([prompt.token_ids[prompt.context_length :]], device=model.device)
    cache.activate_past_recording()
    with reattend(model, None), looking(look):
        model(input_ids=rows, use_cache=True, logits_to_keep=1, **cache_argument(model, cache))
    cache.crop(-rows.shape[1])
    return look


def named_passages(rows: torch.Tensor, words: Sequence[str], passages: Sequence[str]) -> set[int]:
    """Return the passages that a question names, each with at least two of its words.

    A word names the passage that has more than half of its attention, if it is in that passage and not in more than
    half of all: what all share says nothing, and heads then look at the first.

    Parameters
    ----------
    rows
        ``(words, passages)``: share of each passage in the attention of each word of the question.
    words, passages
        Their texts; a word may be a part of one, as tokens are.
    """
    if not words:
        return set()
    texts = [passage.lower() for passage in passages]
    held = torch.tensor([[word.lower() in text for text in texts] for word in words])
    telling = held.sum(dim=1, keepdim=True) <= len(texts) / 2
    names = (rows > _MAINLY) & held & telling
    return set(torch.nonzero(names.sum(dim=0) >= _NAMING).flatten().tolist())


def choose_evidence(
    prompt: EncodedPrompt,
    look: torch.Tensor,
    config: EvidenceConfig,
    words: WordMatch | None = None,
    new_spans: Callable[[Span], Sequence[Span]] | None = None,
    others: Sequence[Span] = (),
    named: Collection[int] = (),
    headings: Sequence[bool] = (),
) -> FoundEvidence:
    """Choose the passages whose keys are weighed, and their best lines.

    Each head that looks counts equally, however much attention it gives to the context. A line is chosen by the sum
    of two standard scores, its attention and its words. So is a passage, unless several name the same: attention,
    words, the best line of all, and the search, if its scores are known. Then it is the one that most of them name.
    The first passage must be named by words or the search: heads look at it where a question is about all passages.

    Where ``config.passages`` is ``"named"``, each further passage that the question names is chosen too: a question of
    two parts names a passage with each (docs/measurements.md).

    The weight outweighs the rest of the context. Among ``n`` keys with similar scores, evidence of ``m`` keys has
    ``w m / (w m + n)`` of the attention. So where the rest is more than ``config.tokens``, weights grow in proportion
    to it, and the share stays. Where it is less than 16 tokens, ``log w`` is smaller, in proportion to its logarithm.

    Where ``config.others`` is above 1, everything but the other passages counts that many times: what is before, around
    and after the context, to the end of the answer, and the chosen passages. It is this number that grows then.

    Parameters
    ----------
    prompt
        Its passages, their lines and their scores.
    look
        ``(heads, lines)``: attention of the heads that look on each line of all passages, in their order.
    config
        How many passages, lines or passages, and the gate.
    words
        How the words of the question match; None where none is shared, or only attention counts.
    new_spans
        Returns the parts of a line that the question does not hold; only used with ``config.new_words``.
    others
        Token spans of passages that evidence is not chosen from.
    named
        Passages that the question names, see `named_passages`.
    headings
        For each line of all passages, whether it is a heading: it is the best line of no passage, and a passage of
        headings alone is not chosen. Empty if there is none.
    """
    by_line = mean_shares(look)
    counts = [len(spans) for spans in prompt.lines]
    bare = torch.tensor(headings or [False] * len(by_line))
    shares = torch.stack([of_passage.sum() for of_passage in by_line.split(counts)])
    if words is None:
        lengths = torch.tensor([last - first for spans in prompt.lines for first, last in spans])
        scores, line_scores = shares, by_line / lengths
    else:
        scores, line_scores = standardized(shares) + words.passages, standardized(by_line) + words.lines
    line_scores = line_scores.masked_fill(bare, -math.inf)
    empty = torch.stack([of_passage.all() for of_passage in bare.split(counts)])
    scores = scores.masked_fill(empty, -math.inf)
    best_lines = [int(of_passage.argmax()) for of_passage in line_scores.split(counts)]
    ranked = scores.argsort(descending=True, stable=True).tolist()
    by_look = [int(shares.masked_fill(empty, 0.0).argmax())]
    by_text = _first_of(prompt.scores) if config.retrieval else []
    if words is not None:
        best_line = torch.stack([of_passage.max() for of_passage in line_scores.split(counts)]).argmax()
        by_look.append(int(best_line))
        by_text.append(int(words.passages.masked_fill(empty, -math.inf).argmax()))
    votes = [*by_look, *by_text]
    # Heads look at the first passage where a question is about all, and so does the line that attention chooses.
    agreed = {number for number in votes if votes.count(number) >= _AGREE and (number > 0 or number in by_text)}
    # Stable: what is not agreed on stays in order.
    ranked.sort(key=lambda number: -votes.count(number) if number in agreed else 0)
    passes = config.gate == "agree" and ranked[0] in agreed
    if config.gate != "agree" or words is None:
        passes = passes or _stands_out(shares, ranked[0], config.gate)
    if config.passages == "named":
        ranked = [ranked[0], *sorted(ranked[1:], key=lambda number: number not in named)]
        count = 1 + len({*named} - {ranked[0]})
    else:
        count = config.passages
    chosen = ranked[:count] if passes else []
    left = [*others, *(prompt.passages[number] for number in ranked[len(chosen) :])]
    beside = sum(last - first for first, last in left)
    if beside == 0:
        chosen = []  # where all are chosen, none stands out
    spans, weights = _weighed(prompt, chosen, best_lines, config, new_spans if config.new_words else None)
    power = min(1.0, math.log1p(beside) / math.log1p(_FULL_BESIDE))
    growth = 1.0 if config.tokens is None else max(1.0, beside / config.tokens)
    if config.others is None or config.others == 1:
        weights = tuple((growth * weight) ** power for weight in weights)
    elif spans:
        weights = tuple(weight**power for weight in weights)
        spans, weights = _all_but(left, spans, weights, (growth * config.others) ** power)
    return FoundEvidence(tuple(shares.tolist()), tuple(chosen), tuple(best_lines), spans, weights)


def _first_of(scores: Sequence[float]) -> list[int]:
    """Return the index of the greatest score; nothing if there is none, or if several are the greatest."""
    first = max(scores, default=0.0)
    return [scores.index(first)] if scores.count(first) == 1 else []


def _stands_out(shares: torch.Tensor, best: int, gate: Gate) -> bool:
    """Whether the best passage gets so many times the attention of the others."""
    least = _GATE_WITHOUT_WORDS if gate == "agree" else gate
    others = (1 - float(shares[best])) / max(1, len(shares) - 1)
    return float(shares[best]) >= least * others


def _weighed(
    prompt: EncodedPrompt,
    chosen: Sequence[int],
    best_lines: Sequence[int],
    config: EvidenceConfig,
    new_spans: Callable[[Span], Sequence[Span]] | None,
) -> tuple[tuple[Span, ...], tuple[float, ...]]:
    """Return the spans that are weighed, ascending, and their weights: a passage is divided at its best line.

    What stands above the first line of a passage and below the last one has no weight: its name, and the running head
    and the number of its page.
    """
    weight = config.weight or 1.0
    parts: list[tuple[Span, float]] = []
    for number in sorted(chosen):
        line = prompt.lines[number][best_lines[number]]
        told = [line] if new_spans is None else new_spans(line)
        if config.unit == "line":
            parts += [(span, weight) for span in told]
            continue
        first, last = prompt.lines[number][0][0], prompt.lines[number][-1][1]
        if config.line_weight == 1 and new_spans is None:
            parts.append(((first, last), weight))
        else:
            parts.append(((first, line[0]), weight))
            parts += [(span, weight * config.line_weight) for span in told]
            parts.append(((line[1], last), weight))
    parts = [(span, of_span) for span, of_span in parts if span[0] < span[1]]
    return tuple(span for span, _ in parts), tuple(of_span for _, of_span in parts)


def _all_but(
    left: Sequence[Span], spans: Sequence[Span], weights: Sequence[float], factor: float
) -> tuple[tuple[Span, ...], tuple[float, ...]]:
    """Return everything but the passages that are left, with the weights of `spans` multiplied by `factor`."""
    parts: list[tuple[Span, float]] = []
    position = 0
    weighed = [(span, weight * factor) for span, weight in zip(spans, weights, strict=True)]
    for (first, last), weight in sorted([*((span, 0.0) for span in left), *weighed, ((TO_END, TO_END), 0.0)]):
        parts += [((position, first), factor), ((first, last), weight)]
        position = last
    parts = [(span, weight) for span, weight in parts if span[0] < span[1] and weight]
    joined = parts[:1]
    for (first, last), weight in parts[1:]:
        (begin, end), before = joined[-1]
        if (end, before) == (first, weight):
            joined[-1] = (begin, last), weight
        else:
            joined.append(((first, last), weight))
    return tuple(span for span, _ in joined), tuple(weight for _, weight in joined)
