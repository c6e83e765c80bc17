"""What a setting does to text it is not meant for: short prompts without documents, and plain text that goes on.

Harm is in nats a token: how much less the model expects what comes, a mean over examples of one kind; the worst kind
counts. Under ``rows="after_context"`` a prompt without a context is sharpened from its first row on.
"""

from __future__ import annotations

from collections.abc import Sequence

from sra_pipelines.passages import Passage

from sra_evaluations.comparison import Comparison
from sra_evaluations.examples import Example
from sra_evaluations.statistics import PairedDifference
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.plain_text import cut_texts

__all__ = ["HARM_TASKS", "harm_examples", "measured_harm"]

_METRIC = "gold_nats_per_token"
HARM_TASKS = ("short prompts", "text of 130 tokens", "text of 1,000 tokens")
_COUNTS = (4, 5, 1)
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


def harm_examples(
    passages: Sequence[Passage], seed: int, count_tokens: CountTokens, scale: int = 1
) -> dict[str, list[Example]]:
    """Make the examples of `HARM_TASKS`; texts are the running text of documents.

    Parameters
    ----------
    passages
        Of the documents, in reading order.
    seed
        Of the choice.
    count_tokens
        Counts the tokens of a text.
    scale
        How many times the usual number of texts.
    """
    short = [Example(str(number), "", "", question, (answer,)) for number, (question, answer) in enumerate(_SHORT)]
    made = {HARM_TASKS[0]: short[: _COUNTS[0] * scale]}
    documents: dict[str, list[str]] = {}
    for passage in passages:
        documents.setdefault(passage.document, []).append(passage.text)
    for task, count, tokens in zip(HARM_TASKS[1:], _COUNTS[1:], _LENGTHS, strict=True):
        texts = [piece for text in documents.values() for piece in _pieces(text, tokens, count_tokens)]
        made[task] = cut_texts(texts, tokens, count * scale, seed, count_tokens)
    return made


def measured_harm(found: Comparison, setting: str) -> dict[str, PairedDifference]:
    """Return what a setting does by kind of text, against off, in nats a token; more is worse."""
    return {
        task: found.difference(_METRIC, setting, task=task)
        for task in HARM_TASKS
        if task in found.tasks and found.values(task, setting, _METRIC)
    }


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
