"""Compiled kernels for decoding rows on a CPU: built once with the compiler of the machine, kept in the user's cache.

Without a compiler, PyTorch operators are used and a warning is logged. The library is built in a temporary folder and
then renamed. Its name contains a hash of its source and build commands, so that another release never loads it.
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
_OBJECT_FILE, _LIBRARY_FILE = "paged_decoding.o", "paged_decoding.so"
_COMPILE_TIMEOUT = 600.0  # seconds; compiling usually takes about 15 s
# Compiler flags for each CPU capability that PyTorch reports.
_FLAGS = {
    "AVX2": ["-mavx2", "-mfma", "-mf16c"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
}

logger = logging.getLogger(__name__)


@functools.cache
def compiled_kernels() -> Any | None:
    """Return the operators of ``paged_decoding.cpp``; compile them if necessary. None if they cannot be compiled.

    The compiler is ``c++``, or the one in the environment variable ``CXX``.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in _FLAGS:
        return None
    try:
        torch.ops.load_library(_library(capability))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning(
            "The kernels for decoding could not be compiled (%s). PyTorch operators are used instead; they are slower. "
            "Install a C++20 compiler, or set CXX.",
            _reason(error),
        )
        return None
    return torch.ops.sra_vllm


def _library(capability: str) -> Path:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    commands = [[*compiler, *arguments] for arguments in _arguments(capability)]
    build_inputs = "\0".join([*commands[0], *commands[1], torch.__version__, _SOURCE.read_text(encoding="utf-8")])
    name = f"paged_decoding-{capability.lower()}-{hashlib.sha256(build_inputs.encode()).hexdigest()[:16]}"
    folder = cache_folder() / "kernels"
    library = folder / f"{name}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            if not library.exists():
                _build(commands, library)
    return library


def _build(commands: list[list[str]], library: Path) -> None:
    logger.info("Compiling the kernels for decoding into %s (only once)", library)
    with tempfile.TemporaryDirectory(dir=library.parent) as build_folder:
        for command in commands:
            subprocess.run(  # noqa: S603 - the user's own compiler, on our own source
                command, cwd=build_folder, capture_output=True, text=True, check=True, timeout=_COMPILE_TIMEOUT
            )
        (Path(build_folder) / _LIBRARY_FILE).replace(library)


def _arguments(capability: str) -> tuple[list[str], list[str]]:
    """Return the compiler arguments for compiling and for linking."""
    from torch.utils import cpp_extension

    compile_arguments = [
        "-c", "-O3", "-std=c++20", "-fPIC", "-fopenmp", "-DNDEBUG", f"-DCPU_CAPABILITY={capability}",
        f"-DCPU_CAPABILITY_{capability}", *_FLAGS[capability],
        *(f"-I{folder}" for folder in cpp_extension.include_paths()), str(_SOURCE), "-o", _OBJECT_FILE,
    ]  # fmt: skip
    # Do not link OpenMP: the library that PyTorch has loaded is used, so that no second thread pool is started.
    link_arguments = [
        "-shared", _OBJECT_FILE, *(f"-L{folder}" for folder in cpp_extension.library_paths()), "-ltorch", "-ltorch_cpu",
        "-lc10", "-o", _LIBRARY_FILE,
    ]  # fmt: skip
    return compile_arguments, link_arguments


def _reason(error: Exception) -> str:
    output = getattr(error, "stderr", None) or str(error)
    return next((line for line in output.splitlines() if "error" in line.lower()), str(error))
