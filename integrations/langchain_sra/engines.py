"""Engines that are loaded at first use.

LangChain often copies models (`configurable_fields`, `with_config`, `model_copy`). All copies share the same
`Engines` object, so each model is loaded only once.
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

_FOR_BOTH = ("revision", "trust_remote_code")  # `load_model` takes these for the model and the tokenizer together


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSource:
    """The arguments of `sra_rag.load_model` that identify a loaded model.

    Parameters
    ----------
    name
        Name of the model, as given to `load_model`.
    dtype, device_map, quantization, tokenizer
        See `load_model`.
    model_kwargs, tokenizer_kwargs
        Keyword arguments for ``from_pretrained`` of the model and of the tokenizer.
    """

    name: str
    dtype: Any = "auto"
    device_map: Any = "auto"
    quantization: Any = None
    tokenizer: str | None = None
    model_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tokenizer_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self) -> Engine:
        """Load the model and return an engine for it."""
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
    """Engines by the source of their model. Thread-safe; each model is loaded once.

    Parameters
    ----------
    given
        An engine or a loaded model to use instead of loading the model with the same name.

    Raises
    ------
    ConfigError
        If `given` is neither an engine nor a loaded model.
    """

    def __init__(self, given: Engine | LoadedModel | None = None) -> None:
        if isinstance(given, LoadedModel):
            given = Engine(given)
        if given is not None and not isinstance(given, Engine):
            raise ConfigError(
                f"engine is a {type(given).__name__}, which is not allowed. Pass a sra_rag.Engine, a LoadedModel "
                "(from sra_rag.load_model), or the .engine of another integration."
            )
        self.given = given
        self._loaded: list[tuple[ModelSource, Engine]] = []
        self._loading = threading.Lock()

    def get(self, source: ModelSource) -> Engine:
        """Return the engine for a model; load the model if necessary.

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
            raise TypeError(
                "A model that was passed as engine= cannot be pickled, as it stays in its process. Pass model= instead."
            )
        return Engines, ()
