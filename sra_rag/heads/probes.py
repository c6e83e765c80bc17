"""Questions with a known passage that contains the answer, used to find the evidence heads of a model."""

from __future__ import annotations

import dataclasses
import functools
import random
import tomllib
from importlib import resources
from typing import Any

__all__ = ["Probe", "make_probes"]

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


def make_probes(count: int, seed: int = 0) -> list[Probe]:
    """Return `count` probes, or all if there are fewer; the result is deterministic for a seed.

    Half of the other passages resemble the right one, which is at a random position.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    groups = [[passage["text"] for passage in group["passage"]] for group in _groups()]
    questions = [
        (group, number, question, answer)
        for group, content in enumerate(_groups())
        for number, passage in enumerate(content["passage"])
        for question, answer in passage["questions"]
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
def _groups() -> list[dict[str, Any]]:
    text = resources.files("sra_rag.heads").joinpath("probes.toml").read_text(encoding="utf-8")
    groups: list[dict[str, Any]] = tomllib.loads(text)["group"]
    return groups
