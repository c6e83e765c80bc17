"""From the look of a model's evidence heads to the weights of a forward pass."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedTokenizerBase

from sra_rag.attention.evidence import Evidence
from sra_rag.attention.session import Session
from sra_rag.evidence.choice import choose_evidence, look_at_context, named_passages
from sra_rag.evidence.statements import headings
from sra_rag.evidence.words import match_words, new_tokens
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.generation.prompts import EncodedPrompt, Span
from sra_rag.generation.result import FoundEvidence
from sra_rag.heads.known import chosen_heads
from sra_rag.models.loading import LoadedModel

__all__ = ["candidate_counts", "candidate_lines", "evidence_of_look", "evidence_weights", "find_evidence", "weigh"]


def find_evidence(
    model: LoadedModel, cache: DynamicCache, prompt: EncodedPrompt, config: EvidenceConfig
) -> FoundEvidence:
    """Look at the context with a model's evidence heads, and choose what is weighed.

    Parameters
    ----------
    model
        The model; its evidence heads are found if they are not known yet.
    cache
        Holds the context of the prompt, and nothing after it; left as it was.
    prompt
        A prompt with passages.
    config
        How the evidence is chosen.
    """
    heads, by_row = chosen_heads(model, config.look), config.passages == "named"
    look = look_at_context(model.model, cache, prompt, heads, candidate_lines(prompt), by_row=by_row)
    rows = look.row_shares(candidate_counts(prompt)) if by_row else None
    return evidence_of_look(model.tokenizer, prompt, look.shares(), config, rows)


def candidate_lines(prompt: EncodedPrompt) -> list[Span]:
    """Return the token spans of the lines of all passages that evidence is chosen from, in their order."""
    return [span for number in _candidates(prompt) for span in prompt.lines[number]]


def candidate_counts(prompt: EncodedPrompt) -> list[int]:
    """Return how many of `candidate_lines` each passage has; of a single passage, each line is chosen by itself."""
    counts = [len(prompt.lines[number]) for number in _candidates(prompt)]
    return [1] * sum(counts) if len(prompt.passages) == 1 else counts


def evidence_of_look(
    tokenizer: PreTrainedTokenizerBase,
    prompt: EncodedPrompt,
    look: torch.Tensor,
    config: EvidenceConfig,
    rows: torch.Tensor | None = None,
) -> FoundEvidence:
    """Choose what is weighed, wherever the model is that looked.

    Parameters
    ----------
    tokenizer
        Tokenizer of the model.
    prompt
        A prompt with passages.
    look
        ``(heads, lines)``: the attention of the heads that look to `candidate_lines`.
    config
        How the evidence is chosen.
    rows
        ``(rows, candidates)``: the share of each of `candidate_counts` in the attention of each token after the
        context; None if not known.

    Returns
    -------
    found
        Passages that evidence is not chosen from have no share. Where there is one passage only, its lines are what
        evidence is chosen from: it has all of the share, and the line that was chosen is its best one.
    """
    kept = _candidates(prompt)
    passages = tuple(prompt.passages[number] for number in kept)
    lines = tuple(prompt.lines[number] for number in kept)
    by_line = len(prompt.passages) == 1
    if by_line:
        [passages], lines = lines, tuple((line,) for line in lines[0])
    scores = tuple(prompt.scores[number] for number in kept) if prompt.scores and not by_line else ()
    among = dataclasses.replace(prompt, passages=passages, lines=lines, candidates=(), scores=scores)
    question, texts = _texts(tokenizer, among)
    named = set() if rows is None else _named(tokenizer, prompt, rows, texts)
    words = match_words(question, texts) if config.words else None
    new_spans = functools.partial(_new_spans, tokenizer, among, question)
    others = [span for number, span in enumerate(prompt.passages) if number not in kept]
    bare = headings([[line for [line] in texts]] if by_line else texts)
    found = choose_evidence(among, look, config, words, new_spans, others, named, bare)
    if by_line:
        best = found.chosen[0] if found.chosen else max(range(len(passages)), key=found.shares.__getitem__)
        return dataclasses.replace(found, shares=(1.0,), chosen=(0,) if found.chosen else (), best_lines=(best,))
    shares, best_lines = [0.0] * len(prompt.passages), [0] * len(prompt.passages)
    for number, share, line in zip(kept, found.shares, found.best_lines, strict=True):
        shares[number], best_lines[number] = share, line
    chosen = tuple(kept[number] for number in found.chosen)
    return dataclasses.replace(found, shares=tuple(shares), chosen=chosen, best_lines=tuple(best_lines))


def _candidates(prompt: EncodedPrompt) -> Sequence[int]:
    return prompt.candidates or range(len(prompt.passages))


def weigh(
    session: Session,
    model: LoadedModel,
    config: EvidenceConfig,
    found: Sequence[FoundEvidence | None],
    padding: Sequence[int],
    contexts: Sequence[int],
) -> None:
    """Put the weights of a batch in force. Where no passage stands out, or there is none, nothing is sharpened either.

    The parameters are those of `evidence_weights`, and the session in force. Where the rows of the context are
    sharpened too (``rows="all"``), those of the question are as well, whatever stands out.
    """
    session.evidence = evidence_weights(model, config, found, padding, contexts)
    if session.config.rows != "all":
        session.sharpen_only([evidence is not None and bool(evidence.spans) for evidence in found])


def evidence_weights(
    model: LoadedModel,
    config: EvidenceConfig,
    found: Sequence[FoundEvidence | None],
    padding: Sequence[int],
    contexts: Sequence[int],
) -> Evidence | None:
    """Make the weights of a batch; None where nothing in it stands out.

    Parameters
    ----------
    model
        The model.
    config
        Settings whose weight is known.
    found
        What was found for each prompt; None where its context has no passages.
    padding
        Positions of padding before each prompt.
    contexts
        Positions that padding and context of each prompt take.
    """
    spans = [
        [(first + pad, last + pad) for first, last in evidence.spans] if evidence is not None else []
        for evidence, pad in zip(found, padding, strict=False)
    ]
    weights = [evidence.weights if evidence is not None else () for evidence in found]
    if config.weight is None or not any(spans):
        return None
    text = model.model.config.get_text_config(decoder=True)
    return Evidence(
        spans,
        contexts,
        weight=weights,
        heads=chosen_heads(model, config.heads),
        n_layers=text.num_hidden_layers,
        n_heads=text.num_attention_heads,
    )


def _texts(tokenizer: PreTrainedTokenizerBase, prompt: EncodedPrompt) -> tuple[str, list[list[str]]]:
    """Return the question of a prompt and the lines of each passage as text."""
    pieces = [[prompt.token_ids[position] for position in piece] for piece in _question(tokenizer, prompt)]
    question = "\n".join(str(tokenizer.decode(piece)) for piece in pieces)
    return question, [
        [str(tokenizer.decode(prompt.token_ids[first:last])) for first, last in lines] for lines in prompt.lines
    ]


def _question(tokenizer: PreTrainedTokenizerBase, prompt: EncodedPrompt) -> list[list[int]]:
    """Return the positions of the tokens of the question.

    It is what follows the context, without control tokens; the last of the texts between them, where there are several,
    is the header of the answer that the chat template wrote.
    """
    controls = {*tokenizer.all_special_ids}
    controls |= {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    after = range(prompt.context_length, len(prompt.token_ids))
    runs = itertools.groupby(after, key=lambda position: prompt.token_ids[position] in controls)
    pieces = [list(run) for control, run in runs if not control]
    return pieces[: max(1, len(pieces) - 1)]


def _named(
    tokenizer: PreTrainedTokenizerBase, prompt: EncodedPrompt, rows: torch.Tensor, texts: Sequence[Sequence[str]]
) -> set[int]:
    """Return which of the passages the question names, from the attention of all rows after the context."""
    asked = {
        position - prompt.context_length: str(tokenizer.decode(prompt.token_ids[position]))
        for piece in _question(tokenizer, prompt)
        for position in piece
    }
    words = {row: text for row, text in asked.items() if any(character.isalnum() for character in text)}
    return named_passages(rows[list(words)], list(words.values()), ["\n".join(lines) for lines in texts])


def _new_spans(tokenizer: PreTrainedTokenizerBase, prompt: EncodedPrompt, question: str, line: Span) -> list[Span]:
    """Return the tokens of a line that hold something that the question does not, as spans."""
    tokens = prompt.token_ids[slice(*line)]
    ends = [len(str(tokenizer.decode(tokens[:count]))) for count in range(1, len(tokens) + 1)]
    new = new_tokens(question, ends, str(tokenizer.decode(tokens)))
    runs = itertools.groupby(range(*line), key=lambda position: new[position - line[0]])
    told = [list(positions) for is_new, positions in runs if is_new]
    return [(positions[0], positions[-1] + 1) for positions in told]
