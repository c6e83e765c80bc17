"""The program of the process that compiles JSON schemas; it is run as a script by `CompilingProcess`.

It imports nothing of sra_rag, so that it starts fast. It reads one line of JSON with the tokenizer, answers with an
empty line, and then answers each line with a schema by a line with its grammar. It ends when its input ends, when a
schema takes too long, or when memory runs out.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xgrammar

__all__ = ["main"]


def main() -> None:
    """Compile schemas until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is not an answer
    import xgrammar

    setup = json.loads(sys.stdin.readline())
    tokenizer = xgrammar.TokenizerInfo.deserialize_json(setup["tokenizer"])
    compiler = xgrammar.GrammarCompiler(tokenizer, max_threads=1, cache_enabled=False)
    _limit_memory(setup["memory_bytes"])
    answers.write("\n")
    answers.flush()
    with open(os.devnull, "w") as nowhere:
        for line in sys.stdin:
            # Ends this process even while the compiler is in C++ code.
            faulthandler.dump_traceback_later(setup["seconds"], exit=True, file=nowhere)
            answer = _compiled(compiler, json.loads(line), setup["answer_bytes"])
            faulthandler.cancel_dump_traceback_later()
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _compiled(compiler: xgrammar.GrammarCompiler, schema: str, most: int) -> dict[str, str]:
    try:
        text = compiler.compile_json_schema(schema, any_whitespace=False).serialize_json()
    except MemoryError:
        return {"large": "memory"}
    except Exception as error:  # the library raises its own types, which differ between releases
        return {"error": str(error)}
    return {"grammar": text} if len(text) <= most else {"large": f"{len(text):,} bytes"}


def _limit_memory(more: int) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # the memory already in use is only known on Linux
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = int(statm.read_text().split()[0]) * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    main()
