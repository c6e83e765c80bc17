"""What is measured of each example of a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sra_evaluations.examples import Example
from sra_rag.errors import ConfigError

__all__ = ["Measures", "Scorer"]

Scorer = Callable[[str, Example], dict[str, float]]
"""Takes an answer and its example, and returns metrics by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """What is measured of each example.

    Parameters
    ----------
    generate
        Whether answers are generated and scored.
    likelihood
        Whether the likelihood of the gold answer is measured, which takes another forward pass. A server that takes
        no token ids cannot measure it.
    attention
        Whether the share of the gold answer's attention on the gold text is measured, and the entropy by layer and
        head. A server cannot measure them.
    max_new_tokens
        Maximum number of tokens of an answer. A right answer that is cut off before its end counts as wrong; the
        metric ``cut_off`` is their share.
    timed
        Number of examples of each task that are run alone, without sharing prefills, so that their seconds and memory
        can be compared.
    batch_size
        Number of the other examples that are answered at once.
    scorers
        Additional metrics of an answer, such as an NLI model's; see `sra_evaluations.metrics`.
    """

    generate: bool = True
    likelihood: bool = True
    attention: bool = True
    max_new_tokens: int = 64
    timed: int = 3
    batch_size: int = 4
    scorers: tuple[Scorer, ...] = ()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size} is not allowed: it must be at least 1.")
