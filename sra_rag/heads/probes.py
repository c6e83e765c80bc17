"""Questions with a known passage that contains the answer, used to find the evidence heads of a model."""

from __future__ import annotations

import dataclasses
import functools
import random
import tomllib
from importlib import resources

__all__ = ["Probe", "ProbePassage", "make_probes", "probe_groups"]

_OTHER_GROUPS = 5  # passages of a prompt that do not resemble the right one


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """A question among ten passages.

    Parameters
    ----------
    passages
        The passages, in the order of the prompt.
    question, answer
        The question and the words of the passage that answer it.
    gold
        Index of the passage that contains the answer.
    """

    passages: tuple[str, ...]
    question: str
    answer: str
    gold: int


@dataclasses.dataclass(frozen=True, slots=True)
class ProbePassage:
    """An invented passage.

    Parameters
    ----------
    text
        The passage.
    questions
        Two questions, each with the words of the passage that answer it.
    """

    text: str
    questions: tuple[tuple[str, str], ...]


def make_probes(count: int, seed: int = 0) -> list[Probe]:
    """Return `count` probes, or all if there are fewer; the result is deterministic for a seed.

    Half of the other passages resemble the right one, which is at a random position.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    groups = [[passage.text for passage in group] for group in probe_groups()]
    questions = [
        (group, number, question, answer)
        for group, passages in enumerate(probe_groups())
        for number, passage in enumerate(passages)
        for question, answer in passage.questions
    ]
    rng.shuffle(questions)
    probes = []
    for group, number, question, answer in questions[:count]:
        alike = [text for other, text in enumerate(groups[group]) if other != number]
        unlike = [text for other, texts in enumerate(groups) if other != group for text in texts]
        passages = alike + rng.sample(unlike, _OTHER_GROUPS)
        rng.shuffle(passages)
        gold = rng.randrange(len(passages) + 1)
        passages.insert(gold, groups[group][number])
        probes.append(Probe(tuple(passages), question, answer, gold))
    return probes


@functools.cache
def probe_groups() -> tuple[tuple[ProbePassage, ...], ...]:
    """Return all passages by group; those of a group resemble each other."""
    text = resources.files("sra_rag.heads").joinpath("probes.toml").read_text(encoding="utf-8")
    return tuple(
        tuple(
            ProbePassage(passage["text"], tuple((question, answer) for question, answer in passage["questions"]))
            for passage in group["passage"]
        )
        for group in tomllib.loads(text)["group"]
    )
