"""What a preset says."""

from __future__ import annotations

import dataclasses
from typing import get_args

from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.retrieval.packing import Order
from sra_rag.errors import ConfigError

__all__ = ["CHECKS", "Preset"]

CHECKS = ("section", "unit_and_period", "arithmetic", "terms", "dates")


@dataclasses.dataclass(frozen=True, slots=True)
class Preset:
    """How documents of a kind are split, searched, asked about and checked.

    Parameters
    ----------
    name, description
        What users see.
    instruction
        Stands above the passages in every prompt.
    checks
        What code looks at in an answer: ``"section"`` (names the section that each citation stands under),
        ``"terms"`` (quotes where the cited documents define the terms and parties that it names), ``"dates"`` (names
        the pages on which its dates stand),
        ``"unit_and_period"`` (notes figures that come without), ``"arithmetic"`` (computes what the question asks for
        from figures that were verified to stand in the passages).
    order, whole_pages
        As for `sra_pipelines.retrieval.retriever.Retriever`.
    context_tokens
        Of passages in a prompt; None for what the model's window leaves, at most 6,000.
    splitting
        Of a new index.

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

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.instruction.strip():
            raise ConfigError("A preset needs a name and an instruction.")
        unknown = [check for check in self.checks if check not in CHECKS]
        if unknown:
            raise ConfigError(f"The preset {self.name!r} has checks {unknown}; there are {', '.join(CHECKS)}.")
        if self.order not in get_args(Order):
            raise ConfigError(f"The preset {self.name!r} has order={self.order!r}; use {', '.join(get_args(Order))}.")
        if self.context_tokens is not None and self.context_tokens < 1:
            raise ConfigError(f"The preset {self.name!r} has context_tokens={self.context_tokens}; at least 1 it is.")
