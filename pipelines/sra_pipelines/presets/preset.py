"""The settings of a preset."""

from __future__ import annotations

import dataclasses
from typing import get_args

from sra_pipelines.metrics.metric import Metrics
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.retrieval.packing import Order
from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_rag.errors import ConfigError

__all__ = ["CHECKS", "Preset"]

CHECKS = ("section", "unit_and_period", "arithmetic", "terms", "dates")


@dataclasses.dataclass(frozen=True, slots=True)
class Preset:
    """Settings for a kind of document: splitting, retrieval, prompt and checks.

    Parameters
    ----------
    name, description
        Name and description for users.
    instruction
        Instruction that precedes the passages in each prompt.
    checks
        Names of the checks of an answer: ``"section"`` (reports the section of each citation), ``"terms"`` (quotes the
        definitions of the terms and parties in the answer from the cited documents), ``"dates"`` (reports the pages
        that contain the dates of the answer), ``"unit_and_period"`` (reports amounts without a unit or period),
        ``"arithmetic"`` (computes what the question asks for, from amounts that were verified in the passages).
    order, whole_pages
        See `sra_pipelines.retrieval.retriever.Retriever`.
    context_tokens
        Maximum number of tokens of passages in a prompt; None for what suits the model.
    splitting
        How a new index splits documents.
    vocabulary
        What people ask and what documents write for it, see `VocabularyEntry`.
    metrics
        Which metrics the check ``"arithmetic"`` computes from which rows of statements.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    name: str
    instruction: str
    description: str = ""
    checks: tuple[str, ...] = ()
    order: Order = "document"
    whole_pages: bool = True
    context_tokens: int | None = None
    splitting: Splitting = dataclasses.field(default_factory=Splitting)
    vocabulary: tuple[VocabularyEntry, ...] = ()
    metrics: Metrics = dataclasses.field(default_factory=Metrics)

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.instruction.strip():
            raise ConfigError("A preset needs a name and an instruction.")
        unknown = [check for check in self.checks if check not in CHECKS]
        if unknown:
            raise ConfigError(f"The preset {self.name!r} has unknown checks {unknown}; use {', '.join(CHECKS)}.")
        if self.order not in get_args(Order):
            raise ConfigError(f"The preset {self.name!r} has order={self.order!r}; use {', '.join(get_args(Order))}.")
        if self.context_tokens is not None and self.context_tokens < 1:
            raise ConfigError(f"The preset {self.name!r} has context_tokens={self.context_tokens}; use at least 1.")
