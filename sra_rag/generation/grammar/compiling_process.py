"""A process that compiles JSON schemas with a deadline and a memory limit, so that a schema cannot stop the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sra_rag.errors import JSONSchemaError
from sra_rag.generation.grammar.schema_limits import cannot_follow

__all__ = ["CompilingProcess"]

_SECONDS = 10.0
_MEMORY_BYTES = 512 << 20
_ANSWER_BYTES = 32 << 20  # it is read while other threads of this process wait
_PROGRAM = Path(__file__).with_name("compile_schemas.py")


class CompilingProcess:
    """A process that compiles schemas for one tokenizer. It is started for the first schema, and again after a crash.

    Several threads may use it; their schemas are compiled one after another.

    Parameters
    ----------
    tokenizer
        The tokenizer information of xgrammar, serialized.
    seconds
        Time limit for one schema in seconds.
    memory_bytes
        Memory limit in bytes, enforced on Linux.
    """

    def __init__(self, tokenizer: str, seconds: float = _SECONDS, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._setup = {
            "tokenizer": tokenizer,
            "seconds": seconds,
            "memory_bytes": memory_bytes,
            "answer_bytes": _ANSWER_BYTES,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._stop: Callable[[], Any] | None = None
        self._using = threading.Lock()

    def compile(self, schema: str) -> str:
        """Return the compiled grammar of a JSON schema, serialized.

        Raises
        ------
        JSONSchemaError
            If the schema cannot be compiled, or takes too much time or memory.
        """
        with self._using:
            process = self._started()
            answer = _ask(process, schema)
            if answer is None:
                self._end()
                raise JSONSchemaError(
                    f"The JSON schema is too large: compiling it takes more than {self._setup['seconds']:g} s or "
                    f"{self._memory_bytes / 1e6:.0f} MB. Use a simpler schema: fewer properties, enum values and "
                    "alternatives, and smaller bounds."
                )
        if "large" in answer:
            raise JSONSchemaError(
                f"The JSON schema is too large: its grammar takes {answer['large']}. Use a simpler schema."
            )
        if "error" in answer:
            raise cannot_follow(answer["error"], schema)
        return answer["grammar"]

    def close(self) -> None:
        """Stop the process; the next schema starts it again."""
        with self._using:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        # Not multiprocessing: it would run the program of the user again, which may lack its `if __name__` line.
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with a program of this package
            [sys.executable, "-P", str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment, start_new_session=True,  # Ctrl-C is for this process
        )  # fmt: skip
        if _ask(process, self._setup) is None:
            process.kill()
            process.wait()
            raise JSONSchemaError(
                "The process that compiles JSON schemas cannot be started, or the tokenizer cannot be read there. "
                f"Try: {sys.executable} {_PROGRAM}"
            )
        self._process = process
        self._stop = weakref.finalize(self, _end, process)
        return process

    def _end(self) -> None:
        if self._process is not None:
            if self._stop is not None:
                self._stop()
            self._process = None


def _ask(process: subprocess.Popen[bytes], question: object) -> dict[str, str] | None:
    """Send a line, and return the answer; None if the process ended."""
    assert process.stdin is not None  # noqa: S101 - a pipe, as it was started
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    if not line:
        return None
    answer: dict[str, str] = json.loads(line) if line.strip() else {}
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
