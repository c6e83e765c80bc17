"""Questions without labels: a figure, a date or a name is removed from a sentence of the passages."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from sra_pipelines.checks.support import Claim, check_support
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_rag.errors import ConfigError

__all__ = ["make_cloze"]

_INSTRUCTION = (
    "Below are passages, then a sentence that stands in one of them, with a part left out. Answer with the part that "
    "is left out, as it stands in the passage, and nothing else."
)
_BLANK = "_____"
_KINDS = ("figure", "date", "name")
_WORDS = range(8, 50)  # of a sentence
_LEAST_DIGITS = 2  # a single digit can be guessed
_WRAPPED = re.compile(r"\n(?=[a-z])")  # a line that goes on in the next
_DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SEAM = 2  # tokens between passages


def make_cloze(retriever: Retriever, count: int, seed: int, tokens: int, count_tokens: CountTokens) -> list[Example]:
    """Make questions from the passages of an index, each from another passage.

    The passage of the sentence stands among those that retrieval finds for it with the part left out: those most like
    it. Questions go through five places of the passage and through figures, dates and names in turn.

    Parameters
    ----------
    retriever
        Searches the documents.
    count
        Maximum number of questions; fewer if the documents have no more sentences that can be asked about.
    seed
        Of the choice.
    tokens
        Of passages in a prompt.
    count_tokens
        Counts the tokens of a text.

    Raises
    ------
    ConfigError
        If no sentence has anything that could be removed.
    """
    passages = list(retriever.index.passages())
    seen = Counter(line for passage in passages for line in set(_lines(passage.text)))
    rng = random.Random(f"cloze {seed}")  # noqa: S311 - a choice of questions, no secret
    rng.shuffle(passages)
    examples: list[Example] = []
    for passage in passages:
        if len(examples) == count:
            break
        part = _part_to_leave_out(passage, _KINDS[len(examples) % len(_KINDS)], seen, rng)
        if part is not None:
            depth = _DEPTHS[len(examples) % len(_DEPTHS)]
            examples.append(_example(passage, *part, depth, retriever, tokens, count_tokens))
    if not examples:
        raise ConfigError(
            "No sentence of these documents has a figure, a date or a name that could be asked for. Give documents "
            "with running text, or more of them."
        )
    return examples


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.split("\n")]


def _part_to_leave_out(
    passage: Passage, kind: str, seen: Counter[str], rng: random.Random
) -> tuple[Claim, Claim] | None:
    """Choose a sentence and a part of it, of `kind` where there is one; running heads and such are no sentences."""
    text = "\n".join(line for line in _WRAPPED.sub(" ", passage.text).split("\n") if seen[" ".join(line.split())] < 2)
    found = check_support(text, "", ())
    choices = [
        (sentence, claim)
        for sentence in found.sentences
        if len(sentence.text.split()) in _WORDS
        for claim in found.claims
        if sentence.start <= claim.start and claim.end <= sentence.end and _can_be_asked(sentence, claim)
    ]
    wanted = [choice for choice in choices if choice[1].kind == kind]
    return rng.choice(wanted or choices) if choices else None


def _can_be_asked(sentence: Claim, claim: Claim) -> bool:
    if claim.kind == "figure" and sum(character.isdigit() for character in claim.text) < _LEAST_DIGITS:
        return False
    # What begins a line is mostly the number of a clause or of a row.
    begins = claim.kind == "figure" and claim.start == sentence.start
    return bool(claim.text.strip()) and not begins and sentence.text.count(claim.text.strip()) == 1


def _example(
    passage: Passage,
    sentence: Claim,
    claim: Claim,
    depth: float,
    retriever: Retriever,
    tokens: int,
    count_tokens: CountTokens,
) -> Example:
    answer = claim.text.strip()
    asked = " ".join(sentence.text.replace(answer, _BLANK).split())
    taken: list[Passage] = []
    left = tokens - count_tokens(format_passages([passage])) - _SEAM
    whole = " ".join(sentence.text.split())
    for other in retriever.search(asked.replace(_BLANK, " ")):
        cost = count_tokens(format_passages([other])) + _SEAM
        # One that contains the sentence too would be a second gold passage.
        if other.key != passage.key and cost <= left and whole not in " ".join(other.text.split()):
            taken.append(other)
            left -= cost
    at = round(depth * len(taken))
    shown: Sequence[Passage] = (*taken[:at], passage, *taken[at:])
    return Example(
        id=f"{passage.document}-{passage.page_index}-{passage.start}-{claim.start}",
        instruction=_INSTRUCTION,
        context=format_passages(shown),
        question=f"Sentence: {asked}",
        answers=(answer,),
        features={"kind": claim.kind, "position": depth if taken else 0.0, "passages": len(shown)},
        gold=(passage.text,),
    )
