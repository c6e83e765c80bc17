"""The compiled kernels of rows that decode on a CPU: built once by the machine's compiler, kept in the user's cache.

A machine without a compiler does without, and says so. The file is built aside and renamed when it is whole; its name
tells what it was built from, so that another release never loads it.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from sra_rag.models.embedded import cache_folder

__all__ = ["compiled_kernels"]

_SOURCE = Path(__file__).with_name("paged_decoding.cpp")
_COMPILED, _MADE = "paged_decoding.o", "paged_decoding.so"
_SECONDS = 600.0  # that compiling may take; it takes some 15
# What the processor can do as PyTorch found it, and how compilers are told.
_FLAGS = {
    "AVX2": ["-mavx2", "-mfma", "-mf16c"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
}

logger = logging.getLogger(__name__)


@functools.cache
def compiled_kernels() -> Any | None:
    """Return what ``paged_decoding.cpp`` defines, compiled if need be; None where it cannot be had.

    The compiler is ``c++``, or what the environment variable ``CXX`` names.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in _FLAGS:
        return None
    try:
        torch.ops.load_library(_library(capability))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning(
            "The kernels for decoding could not be compiled (%s): PyTorch's operators serve instead, slower. Install a "
            "compiler of C++20, or name one in CXX.",
            _reason(error),
        )
        return None
    return torch.ops.sra_vllm


def _library(capability: str) -> Path:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    commands = [[*compiler, *arguments] for arguments in _arguments(capability)]
    made_from = "\0".join([*commands[0], *commands[1], torch.__version__, _SOURCE.read_text(encoding="utf-8")])
    name = f"paged_decoding-{capability.lower()}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    folder = cache_folder() / "kernels"
    library = folder / f"{name}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            if not library.exists():
                _build(commands, library)
    return library


def _build(commands: list[list[str]], library: Path) -> None:
    logger.info("Compiling the kernels for decoding once, into %s", library)
    with tempfile.TemporaryDirectory(dir=library.parent) as aside:
        for command in commands:
            subprocess.run(  # noqa: S603 - the user's own compiler, on our own source
                command, cwd=aside, capture_output=True, text=True, check=True, timeout=_SECONDS
            )
        (Path(aside) / _MADE).replace(library)


def _arguments(capability: str) -> tuple[list[str], list[str]]:
    """Return what the compiler is told to compile, and to link."""
    from torch.utils import cpp_extension

    compiled = [
        "-c", "-O3", "-std=c++20", "-fPIC", "-fopenmp", "-DNDEBUG", f"-DCPU_CAPABILITY={capability}",
        f"-DCPU_CAPABILITY_{capability}", *_FLAGS[capability],
        *(f"-I{folder}" for folder in cpp_extension.include_paths()), str(_SOURCE), "-o", _COMPILED,
    ]  # fmt: skip
    # OpenMP is not named here: the one that PyTorch has loaded serves, and no second set of threads is started.
    linked = [
        "-shared", _COMPILED, *(f"-L{folder}" for folder in cpp_extension.library_paths()), "-ltorch", "-ltorch_cpu",
        "-lc10", "-o", _MADE,
    ]  # fmt: skip
    return compiled, linked


def _reason(error: Exception) -> str:
    shown = getattr(error, "stderr", None) or str(error)
    return next((line for line in shown.splitlines() if "error" in line.lower()), str(error))
