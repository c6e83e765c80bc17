"""What was measured of models by their names: how much context they should read, and how well they answer the demo."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from importlib import resources

__all__ = ["MeasuredModel", "default_context_tokens", "measured_models"]

_MOST_CONTEXT = 6000  # tokens, for a model that was not measured


@dataclasses.dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A measured model; see docs/models.md for the tables.

    Parameters
    ----------
    name
        Name of the model, as given to `load_model`.
    context_tokens
        Maximum number of tokens of passages in a prompt, by default.
    demo
        Number of the five questions of ``sra-rag demo`` that the model answers correctly with evidence; None if it was
        not measured.
    """

    name: str
    context_tokens: int
    demo: int | None = None


@functools.cache
def measured_models() -> tuple[MeasuredModel, ...]:
    """Return the measured models, smallest first."""
    text = resources.files("sra_pipelines.answering").joinpath("measured_models.toml").read_text(encoding="utf-8")
    return tuple(MeasuredModel(**entry) for entry in tomllib.loads(text)["models"])


def default_context_tokens(name: str) -> int:
    """Return the default maximum number of tokens of passages for a model: the measured one, or 6,000."""
    return next((model.context_tokens for model in measured_models() if model.name == name), _MOST_CONTEXT)
