"""Kernels for CPUs that are compiled once with the compiler of the machine, and kept in the user's cache.

Without a compiler, PyTorch operators are used and a warning is logged. A library is built in a temporary folder and
then renamed. Its name contains a hash of its source and build commands, so that another release never loads it.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from sra_rag.models.cache import cache_folder

__all__ = ["compiled_library", "decoding_kernel", "row_kernels"]

_COMPILE_TIMEOUT = 600.0  # seconds; compiling usually takes about 15 s
_LOOK = 0.2  # seconds after which a compiler that runs is looked at
_LASTS = 20.0  # seconds of decoding after which a process is taken to outlast the compiler
_STOP_TIMEOUT = 5.0  # seconds
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


def decoding_kernel(*, wait: bool = False) -> Any | None:
    """Return the operator of ``sharpened_row.cpp``; None if it cannot be used, or is not compiled yet.

    It is compiled in a thread, because no answer should wait for what makes later ones a little faster, and only if the
    first use was 20 seconds ago: a process that ends before the compiler does would compile for nothing, each time. At
    the end of the process an unfinished compilation is stopped.

    Parameters
    ----------
    wait
        Whether to compile at once, and to wait for it.
    """
    build = _decoding_build()
    if not build.loaded:
        build.used(at_once=wait)
        if wait and build.is_alive():
            build.join()
    return torch.ops.sra_attention_row.sharpened_row if build.loaded else None


@functools.cache
def _decoding_build() -> _BackgroundBuild:
    return _BackgroundBuild(Path(__file__).with_name("sharpened_row.cpp"), "sharpened decoding")


class _BackgroundBuild(threading.Thread):
    """Compiles and loads a file of kernels; `loaded` says whether they can be used by now."""

    def __init__(self, source: Path, purpose: str) -> None:
        super().__init__(name=f"compile {source.stem}", daemon=True)
        self.loaded = False
        self._source, self._purpose = source, purpose
        self._begun, self._stopped = threading.Lock(), threading.Event()
        self._first_use = time.monotonic()
        capability = torch.backends.cpu.get_cpu_capability()
        if capability not in _FLAGS or _library_path(source, capability).exists():
            self._begun.acquire()
            self.run()

    def used(self, *, at_once: bool) -> None:
        """Begin to compile, at once or where the first use was long ago. Once in a process."""
        lasts = at_once or time.monotonic() - self._first_use > _LASTS
        if lasts and self._begun.acquire(blocking=False):
            atexit.register(self.stop)
            self.start()

    def run(self) -> None:
        """Compile if necessary, and load."""
        self.loaded = compiled_library(self._source, self._purpose, level=logging.INFO, stopped=self._stopped)

    def stop(self) -> None:
        """Stop the compiler, and wait until what it wrote is deleted."""
        self._stopped.set()
        self.join(_STOP_TIMEOUT)


def compiled_library(
    source: Path, purpose: str, *, level: int = logging.WARNING, stopped: threading.Event | None = None
) -> bool:
    """Compile a file of kernels if necessary and load it.

    The compiler is ``c++``, or the one in the environment variable ``CXX``.

    Parameters
    ----------
    source
        A C++ file that registers operators with PyTorch.
    purpose
        What the kernels are for, for messages.
    level
        Level of the message if they cannot be compiled.
    stopped
        Stops the compiler when set.

    Returns
    -------
    loaded
        Whether the operators can be used. If not, a message has been logged, except on processors without AVX2.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in _FLAGS:
        return False
    try:
        torch.ops.load_library(_library(source, capability, purpose, stopped or threading.Event()))
    except (OSError, subprocess.SubprocessError) as error:
        logger.log(
            level,
            "The kernels for %s could not be compiled (%s). PyTorch operators are used instead; they are slower. "
            "Install a C++20 compiler, or set CXX.",
            purpose,
            _reason(error),
        )
        return False
    return True


def _library(source: Path, capability: str, purpose: str, stopped: threading.Event) -> Path:
    library = _library_path(source, capability)
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with _locked(library.with_suffix(".lock"), stopped):
            if not library.exists():
                logger.info("Compiling the kernels for %s into %s (only once)", purpose, library)
                _build(_commands(source, capability), library, stopped)
    return library


@contextmanager
def _locked(path: Path, stopped: threading.Event) -> Iterator[None]:
    """Hold a lock; while another process holds it, wait until it is free or this one is stopped."""
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOOK)
        except Timeout:
            if stopped.is_set():
                raise
    try:
        yield
    finally:
        lock.release()


def _library_path(source: Path, capability: str) -> Path:
    """Return where the compiled kernels are, or will be: the name depends on all that they are made of."""
    commands = _commands(source, capability)
    build_inputs = "\0".join([*commands[0], *commands[1], torch.__version__, source.read_text(encoding="utf-8")])
    name = f"{source.stem}-{capability.lower()}-{hashlib.sha256(build_inputs.encode()).hexdigest()[:16]}"
    return cache_folder() / "kernels" / f"{name}.so"


def _commands(source: Path, capability: str) -> list[list[str]]:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    return [[*compiler, *arguments] for arguments in _arguments(source, capability)]


def _build(commands: list[list[str]], library: Path, stopped: threading.Event) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as build_folder:
        for command in commands:
            _run(command, build_folder, stopped)
        (Path(build_folder) / "kernels.so").replace(library)


def _run(command: list[str], folder: str, stopped: threading.Event) -> None:
    """Run a command until it ends, or its time does, or it is stopped."""
    end = time.monotonic() + _COMPILE_TIMEOUT
    with subprocess.Popen(  # noqa: S603 - the user's own compiler, on our own source
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                if stopped.is_set() or time.monotonic() > end:
                    if os.name == "posix":
                        os.killpg(process.pid, signal.SIGKILL)  # with the processes that the compiler started
                    process.kill()
                    raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)


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
