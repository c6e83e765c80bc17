"""Engines that are loaded when they are first needed.

LangChain copies models freely (`configurable_fields`, `with_config`, `model_copy`); the copies hold the same
`Engines`, so a model is loaded once however often its settings change.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine
from sra_rag.models.loading import LoadedModel, load_model

__all__ = ["Engines", "ModelSource"]

_FOR_BOTH = ("revision", "trust_remote_code")  # what `load_model` also needs for the tokenizer


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSource:
    """What a loaded model depends on; see `sra_rag.load_model`.

    Parameters
    ----------
    name
        Of the model.
    dtype, device_map, quantization, tokenizer
        As `load_model` takes them.
    model_kwargs, tokenizer_kwargs
        For ``from_pretrained``.
    """

    name: str
    dtype: Any = "auto"
    device_map: Any = "auto"
    quantization: Any = None
    tokenizer: str | None = None
    model_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tokenizer_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self) -> Engine:
        """Load the model and make an engine for it."""
        model_kwargs = dict(self.model_kwargs)
        for_both = {name: model_kwargs.pop(name) for name in _FOR_BOTH if name in model_kwargs}
        loaded = load_model(
            self.name,
            dtype=self.dtype,
            device_map=self.device_map,
            quantization=self.quantization,
            tokenizer=self.tokenizer,
            model_kwargs=model_kwargs,
            tokenizer_kwargs=self.tokenizer_kwargs,
            **for_both,
        )
        return Engine(loaded)


class Engines:
    """Engines by what they were loaded from. Several threads may use it at once; each model is loaded once.

    Parameters
    ----------
    given
        An engine or a loaded model to use instead of loading one of its name.

    Raises
    ------
    ConfigError
        If `given` is something else.
    """

    def __init__(self, given: Engine | LoadedModel | None = None) -> None:
        if isinstance(given, LoadedModel):
            given = Engine(given)
        if given is not None and not isinstance(given, Engine):
            raise ConfigError(
                f"engine is a {type(given).__name__}. Give a sra_rag.Engine, a LoadedModel (from sra_rag.load_model), "
                "or the .engine of another integration."
            )
        self.given = given
        self._loaded: list[tuple[ModelSource, Engine]] = []
        self._loading = threading.Lock()

    def get(self, source: ModelSource) -> Engine:
        """Return the engine for a model, loading it if that was not done before.

        Raises
        ------
        ModelLoadError, UnsupportedModelError, ConfigError
            See `sra_rag.load_model`.
        """
        if self.given is not None and source.name == self.given.loaded.name:
            return self.given
        with self._loading:
            for known, engine in self._loaded:
                if known == source:
                    return engine
            engine = source.load()
            self._loaded.append((source, engine))
            return engine

    def __deepcopy__(self, memo: dict[int, Any]) -> Engines:
        return self

    def __reduce__(self) -> tuple[type[Engines], tuple[()]]:
        if self.given is not None:
            raise TypeError("A model that was passed in as engine= stays in its process. Name it by model= instead.")
        return Engines, ()
