"""Run ``sra-rag evaluate`` for a claim: its task and its settings, on rows of your own choice."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from sra_rag.cli import main

__all__ = ["replicate"]


def replicate(claim: str, options: str, settings: Sequence[str]) -> None:
    """Evaluate the settings of a claim in pairs; this ends the process as ``sra-rag evaluate`` does.

    Parameters
    ----------
    claim
        Docstring of the script, which is its help.
    options
        Options of the task ``multi-document``, such as ``"passages=10"``.
    settings
        Settings of ``--sra``; the first one is the baseline.
    """
    parser = argparse.ArgumentParser(
        description=claim,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other options are those of sra-rag evaluate, such as --model, --to and --max-new-tokens.",
    )
    parser.add_argument("data", metavar="FILE", help='JSONL rows, such as those of "Lost in the Middle"; .gz or not')
    parser.add_argument("--limit", type=int, default=200, help="number of questions (default: 200)")
    own, others = parser.parse_known_args()
    command = ["sra-rag", "evaluate", f"multi-document:data={own.data},{options}", "--limit", str(own.limit)]
    command += [part for setting in settings for part in ("--sra", setting)] + others
    print(shlex.join(command), flush=True)
    sys.argv = command
    main()
