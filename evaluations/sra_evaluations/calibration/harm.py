"""What a setting does to text it is not meant for: short prompts without documents, and the continuation of plain text.

Harm is in nats a token: the increase of the negative log-likelihood, a mean over examples of one kind; the worst kind
counts. Under ``rows="after_context"`` a prompt without a context is sharpened from its first row on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from sra_pipelines.values import Passage

from sra_evaluations.examples import Example
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.statistics import PairedDifference
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.plain_text import cut_texts

__all__ = ["HARM_TASKS", "HarmTexts", "harm_examples", "measured_harm"]

_METRIC = "gold_nats_per_token"
HARM_TASKS = ("short prompts", "text of 130 tokens", "text of 1,000 tokens")
_COUNTS = (4, 5, 1)  # for the search
_UNSEEN = 3  # times as many for the check of finalists
_UNSEEN_NAME = "unseen "
_LENGTHS = (130, 1000)  # tokens
_SHORT = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many days does a week have?", "A week has seven days."),
    ("Which planet is closest to the sun?", "Mercury is the planet closest to the sun."),
    ("What do bees make?", "Bees make honey."),
    ("What is the opposite of hot?", "The opposite of hot is cold."),
    ("How many months are in a year?", "There are twelve months in a year."),
    ("What is the largest ocean?", "The largest ocean is the Pacific Ocean."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("What is 2 + 2?", "2 + 2 is 4."),
    ("What is water made of?", "Water is made of hydrogen and oxygen."),
    ("In which country is Rome?", "Rome is in Italy."),
    ("What colour is the sky on a clear day?", "On a clear day the sky is blue."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("What is the first month of the year?", "The first month of the year is January."),
    ("Write a short thank-you note.", "Thank you so much for your help. I really appreciate it."),
    ("Say hello in Spanish.", "Hola!"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class HarmTexts:
    """Examples by kind of text.

    Parameters
    ----------
    searched
        For the search.
    unseen
        Others, for the check of finalists; those of the search if the documents have too few texts of a kind.
    """

    searched: Mapping[str, list[Example]]
    unseen: Mapping[str, list[Example]]


def harm_examples(passages: Sequence[Passage], seed: int, count_tokens: CountTokens) -> HarmTexts:
    """Make the examples of `HARM_TASKS`; texts are the running text of documents.

    Parameters
    ----------
    passages
        Of the documents, in reading order.
    seed
        Of the choice.
    count_tokens
        Counts the tokens of a text.
    """
    made = [[Example(str(number), "", "", question, (answer,)) for number, (question, answer) in enumerate(_SHORT)]]
    documents: dict[str, list[str]] = {}
    for passage in passages:
        documents.setdefault(passage.document, []).append(passage.text)
    for count, tokens in zip(_COUNTS[1:], _LENGTHS, strict=True):
        texts = [piece for text in documents.values() for piece in _pieces(text, tokens, count_tokens)]
        made.append(cut_texts(texts, tokens, count * (1 + _UNSEEN), seed, count_tokens))
    searched = {task: them[:count] for task, count, them in zip(HARM_TASKS, _COUNTS, made, strict=True)}
    unseen = {task: them[count:] or them for task, count, them in zip(HARM_TASKS, _COUNTS, made, strict=True)}
    return HarmTexts(searched, {_UNSEEN_NAME + task: them for task, them in unseen.items()})


def measured_harm(found: Comparison, setting: str, texts: Mapping[str, list[Example]]) -> dict[str, PairedDifference]:
    """Return what a setting does to each kind of text, against off, in nats a token; more is worse.

    Empty where not every example of `texts` was measured: a part of them proves no bound.
    """
    if any(task not in found.tasks for task in texts):
        return {}
    harm = {task: found.values(task, setting, _METRIC) for task in texts}
    if any(len(harm[task]) < len(examples) for task, examples in texts.items()):
        return {}
    return {task: found.difference(_METRIC, setting, task=task) for task in texts}


def _pieces(passages: list[str], tokens: int, count_tokens: CountTokens) -> list[str]:
    """Join passages that follow one another until they are long enough."""
    pieces: list[str] = []
    joined: list[str] = []
    length = 0
    for text in passages:
        joined.append(text)
        length += count_tokens(text)
        if length >= tokens:
            pieces.append("\n".join(joined))
            joined, length = [], 0
    return pieces or ["\n".join(joined)]
