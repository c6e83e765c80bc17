"""Kernels for CPUs that are compiled once with the compiler of the machine, and kept in the user's cache.

Without a compiler, PyTorch operators are used and a warning is logged. A library is built in a temporary folder and
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

from sra_rag.models.cache import cache_folder

__all__ = ["compiled_library", "decoding_kernel", "row_kernels"]

_COMPILE_TIMEOUT = 600.0  # seconds; compiling usually takes about 15 s
# Compiler flags for each CPU capability that PyTorch reports.
_FLAGS = {
    "AVX2": ["-mavx2", "-mfma", "-mf16c"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
}

logger = logging.getLogger(__name__)


@functools.cache
def row_kernels() -> Any | None:
    """Return the operators of ``sharpened_rows.cpp``; compile them if necessary. None if they cannot be used."""
    # They multiply with oneDNN, which PyTorch may have been built without, or the user may have switched off.
    if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
        return None
    source = Path(__file__).with_name("sharpened_rows.cpp")
    return torch.ops.sra_attention if compiled_library(source, "sharpened prompts") else None


@functools.cache
def decoding_kernel() -> Any | None:
    """Return the operator of ``sharpened_row.cpp``; compile it if necessary. None if it cannot be used."""
    source = Path(__file__).with_name("sharpened_row.cpp")
    return torch.ops.sra_attention_row.sharpened_row if compiled_library(source, "sharpened decoding") else None


def compiled_library(source: Path, purpose: str) -> bool:
    """Compile a file of kernels if necessary and load it.

    The compiler is ``c++``, or the one in the environment variable ``CXX``.

    Parameters
    ----------
    source
        A C++ file that registers operators with PyTorch.
    purpose
        What the kernels are for, for messages.

    Returns
    -------
    loaded
        Whether the operators can be used. If not, a warning has been logged, except on processors without AVX2.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in _FLAGS:
        return False
    try:
        torch.ops.load_library(_library(source, capability, purpose))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning(
            "The kernels for %s could not be compiled (%s). PyTorch operators are used instead; they are slower. "
            "Install a C++20 compiler, or set CXX.",
            purpose,
            _reason(error),
        )
        return False
    return True


def _library(source: Path, capability: str, purpose: str) -> Path:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    commands = [[*compiler, *arguments] for arguments in _arguments(source, capability)]
    build_inputs = "\0".join([*commands[0], *commands[1], torch.__version__, source.read_text(encoding="utf-8")])
    name = f"{source.stem}-{capability.lower()}-{hashlib.sha256(build_inputs.encode()).hexdigest()[:16]}"
    folder = cache_folder() / "kernels"
    library = folder / f"{name}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            if not library.exists():
                logger.info("Compiling the kernels for %s into %s (only once)", purpose, library)
                _build(commands, library)
    return library


def _build(commands: list[list[str]], library: Path) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as build_folder:
        for command in commands:
            subprocess.run(  # noqa: S603 - the user's own compiler, on our own source
                command, cwd=build_folder, capture_output=True, text=True, check=True, timeout=_COMPILE_TIMEOUT
            )
        (Path(build_folder) / "kernels.so").replace(library)


def _arguments(source: Path, capability: str) -> tuple[list[str], list[str]]:
    """Return the compiler arguments for compiling and for linking."""
    # Not those of torch.utils.cpp_extension: importing it requires setuptools.
    torch_folder = Path(torch.__file__).parent
    includes = [torch_folder / "include", torch_folder / "include" / "torch" / "csrc" / "api" / "include"]
    compile_arguments = [
        "-c", "-O3", "-std=c++20", "-fPIC", "-fopenmp", "-DNDEBUG", f"-DCPU_CAPABILITY={capability}",
        f"-DCPU_CAPABILITY_{capability}", *_FLAGS[capability],
        *(f"-I{folder}" for folder in includes), str(source), "-o", "kernels.o",
    ]  # fmt: skip
    # Do not link OpenMP: the library that PyTorch has loaded is used, so that no second thread pool is started.
    link_arguments = [
        "-shared", "kernels.o", f"-L{torch_folder / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", "-o", "kernels.so",
    ]  # fmt: skip
    return compile_arguments, link_arguments


def _reason(error: Exception) -> str:
    output = getattr(error, "stderr", None) or str(error)
    return next((line for line in output.splitlines() if "error" in line.lower()), str(error))
