"""Questions without documents of the user: those on invented passages from which evidence heads are found too."""

from __future__ import annotations

import random

from sra_evaluations.examples import Example
from sra_rag.heads.probes import probe_groups

__all__ = ["make_probe_questions"]

_INSTRUCTION = "Answer the question from the passages below and from nothing else, with a few words."
_OTHERS = 15
"""Passages of a context that are of other groups. With the five of a group it holds some 1,400 tokens, about what
pipelines read; among ten passages the 0.5B answered two thirds of the questions without evidence: too little room."""


def make_probe_questions(seed: int) -> tuple[list[Example], list[Example]]:
    """Make questions on contracts, reports, manuals, tables, people and minutes, among twenty passages each.

    The questions on one group of passages share a context, so that it is read once for all of them.

    Parameters
    ----------
    seed
        Seed of the order and of the halves.

    Returns
    -------
    searched, confirmed
        Two halves, drawn at random: each passage has a question in either.
    """
    rng = random.Random(f"probes {seed}")  # noqa: S311 - an order of questions, no secret
    groups = probe_groups()
    searched: list[Example] = []
    confirmed: list[Example] = []
    for number in rng.sample(range(len(groups)), len(groups)):
        others = [passage.text for group in (*groups[:number], *groups[number + 1 :]) for passage in group]
        texts = [*(passage.text for passage in groups[number]), *rng.sample(others, _OTHERS)]
        rng.shuffle(texts)
        context = "\n\n".join(texts)
        for passage in groups[number]:
            # Drawn, as the two are not alike: evidence helped the 0.5B with the first ones, not with the second ones.
            asked = rng.sample(passage.questions, len(passage.questions))
            for half, (question, answer) in zip((searched, confirmed), asked, strict=True):
                half.append(
                    Example(
                        id=f"probe {number} {len(half)}",
                        instruction=_INSTRUCTION,
                        context=context,
                        question=question,
                        answers=(answer,),
                        gold=(passage.text,),
                        features={"position": texts.index(passage.text) / (len(texts) - 1)},
                    )
                )
    return searched, confirmed
