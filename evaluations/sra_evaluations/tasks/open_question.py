"""An open question over the whole context: every passage contains a part of the answer.

Weight on one passage may narrow an answer that should draw on all of them; the share of passages that an answer uses
shows it.
"""

from __future__ import annotations

import dataclasses
import random
from typing import ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.profiles import PLACES, site_report
from sra_rag.errors import ConfigError

__all__ = ["OpenQuestion"]

_INSTRUCTION = "Answer the question from all of the reports below and from nothing else."


@dataclasses.dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Name the places of all reports: ``right`` is the share of passages that the answer uses.

    Parameters
    ----------
    passages
        Number of reports in a prompt, from 2 to 24.
    """

    name: ClassVar[str] = "open-question"
    passages: int = 8

    def __post_init__(self) -> None:
        if not 2 <= self.passages <= len(PLACES):
            raise ConfigError(f"passages={self.passages} is not allowed: it is a whole number from 2 to {len(PLACES)}.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples; the same for the same seed and options."""
        return [self._example(number, seed) for number in range(count)]

    def _example(self, number: int, seed: int) -> Example:
        rng = random.Random(f"{self.name} {seed} {number}")
        places = rng.sample(PLACES, self.passages)
        reports = tuple(site_report(place, rng) for place in places)
        return Example(
            id=f"{self.passages}-{seed}-{number}",
            instruction=_INSTRUCTION,
            context="\n\n".join(reports),
            question="Question: What went wrong at the sites? Name every site and its incident in one short sentence.",
            answers=tuple(places),
            all_of=True,
            gold=reports,
            features={"passages": self.passages},
        )
