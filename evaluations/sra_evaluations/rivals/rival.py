"""Names of rivals, and what each one changes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_sra

__all__ = ["RIVALS", "Rival", "parse_rival"]

RIVALS: Mapping[str, str] = MappingProxyType(
    {
        "best_first": "passages by similarity to the question, the best first",
        "best_last": "passages by similarity to the question, the best last",
        "only_best": "only the most similar passage",
        "replay": "the most similar passage repeated after the context",
        "emphasis": "evidence weights on the most similar passage, instead of the one that the evidence heads choose",
        "only_gold": "only the passages with the answer: an upper bound that knows it",
        "emphasis_gold": "evidence weights on the passage with the answer: an upper bound that knows it",
        "context_aware": "context-aware decoding (arXiv 2305.14739)",
    }
)
"""What each rival does, by name. Similarity is the cosine of embeddings."""

_KEEP_CONTEXT = ("replay", "emphasis", "emphasis_gold", "context_aware")
_STRENGTH = 0.5  # of context-aware decoding, as in its paper


@dataclasses.dataclass(frozen=True, slots=True)
class Rival:
    """An alternative to reattention, which can also be combined with it.

    Parameters
    ----------
    name
        One of `RIVALS`.
    strength
        Strength of ``context_aware``, above 0: how far the log-probabilities move away from those without the context.
        None for the other rivals.

    Raises
    ------
    ConfigError
        If the name or the strength is not allowed.
    """

    name: str
    strength: float | None = None

    def __post_init__(self) -> None:
        if self.name not in RIVALS:
            raise ConfigError(f"There is no rival {self.name!r}. Use one of {', '.join(RIVALS)}.")
        if self.name != "context_aware":
            if self.strength is not None:
                raise ConfigError(f"{self.name}={self.strength:g} is not allowed: only context_aware has a strength.")
            return
        if self.strength is None:
            object.__setattr__(self, "strength", _STRENGTH)  # a frozen value can only be completed past its own guard
        if self.strength is not None and not (math.isfinite(self.strength) and self.strength > 0):
            raise ConfigError(f"context_aware={self.strength:g} is not allowed: its strength is a number above 0.")

    @property
    def keeps_context(self) -> bool:
        """Whether the context is the same as with the other settings, so that its prefill is shared."""
        return self.name in _KEEP_CONTEXT

    @property
    def emphasizes(self) -> bool:
        """Whether it chooses the passage that gets evidence weights."""
        return self.name.startswith("emphasis")

    def __str__(self) -> str:
        """Return the rival in the form that `parse_rival` reads."""
        return self.name if self.strength is None else f"{self.name}={self.strength:g}"


def parse_rival(text: str) -> tuple[Rival, SRAConfig | None] | None:
    """Read ``RIVAL``, ``RIVAL=STRENGTH`` or ``RIVAL+SETTING``; None if the text does not name a rival.

    Parameters
    ----------
    text
        Such as ``best_last``, ``context_aware=0.5`` or ``best_last+alpha=0.3,rows=after_context``.

    Returns
    -------
    rival, sra
        The rival, and the settings of the attention, None for off. Without a setting those of ``emphasis`` are the
        evidence settings measured for the model.

    Raises
    ------
    ConfigError
        If the rival or the setting is not allowed, or the two cannot be combined.
    """
    head, plus, setting = text.partition("+")
    name, equals, written = head.partition("=")
    if name not in RIVALS:
        return None
    try:
        rival = Rival(name, float(written) if equals else None)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{head}: {written!r} is not a number. Give a strength, as in context_aware=0.5.") from error
    sra = parse_sra(setting) if plus else parse_sra("evidence") if rival.emphasizes else None
    if rival.emphasizes and (sra is None or sra.evidence is None):
        raise ConfigError(
            f"{text}: {name} needs evidence weights. Leave the setting out, or give one with evidence, as in "
            f"{name}+evidence=4."
        )
    if rival.name == "context_aware" and sra is not None and sra.enabled:
        raise ConfigError(f"{text}: context_aware is decoded without reattention. Leave the setting out.")
    return rival, sra
