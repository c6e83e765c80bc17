"""Shared by the benchmarks of filings that take long: their arguments, and results that a second run continues."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retrieval_filings import by_filing
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from transformers.utils import logging as transformers_logging

__all__ = ["ResumedResults", "filing_arguments", "read_questions"]


def filing_arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of all these benchmarks."""
    transformers_logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--to", type=Path, required=True, help="JSONL file of results; continued if it exists")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    return parser


def read_questions(folder: Path) -> list[dict[str, Any]]:
    """Return the questions of a folder."""
    return [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


class ResumedResults:
    """Results in a JSONL file, one for each question; those that are in the file are not computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.done: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def missing(
        self, folder: Path, kept: Path, questions: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[StoredIndex, dict[str, Any]]]:
        """Yield the questions without a result, each with the index of its filing."""
        known = {result["id"] for result in self.done}
        left = [question for question in questions if question["id"] not in known]
        for index, own in by_filing(folder, kept, left, load_embedding()):
            for question in own:
                yield index, question

    def add(self, result: dict[str, Any], total: int) -> None:
        """Append a result to the file."""
        self.done.append(result)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{len(self.done)} of {total} questions", flush=True)
