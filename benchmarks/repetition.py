"""Count loops that are stopped, and lists, tables and prose that are cut although they are none.

    python benchmarks/repetition.py FOLDER               parts of the documents in FOLDER, as if they were answers
    python benchmarks/repetition.py --answers FILE.jsonl  answers that were generated with stop_repetition=False

From each document, up to 25 pages are drawn, and from each page a part of up to 2,500 characters that starts at a
random line. It grows word by word, as an answer grows, and counts as cut if `find_repetition` reports a loop after any
word. No part is a loop, so each cut is wrong. A part is a table if at least a tenth of its characters are digits. No
model is needed.

Of answers (objects with ``text``), those that are stopped are counted, and printed from the place where they are cut.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path

from sra_pipelines import read_document
from sra_pipelines.readers import FORMATS

from sra_rag.generation.repetition import find_repetition

_PAGES = 25
_CHARACTERS = 2500
_LEAST_WORDS = 60
_TABLE = 0.1  # share of digits


def main() -> None:
    """Print how many parts and answers are cut, and where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="folders with documents")
    parser.add_argument("--answers", type=Path, help="JSONL file of answers")
    options = parser.parse_args()
    if not options.folders and options.answers is None:
        parser.error("give a folder with documents, --answers FILE.jsonl, or both")
    for folder in options.folders:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
        if not paths:
            parser.error(f"{folder} contains no documents that can be read")
        count_parts(paths)
    if options.answers is not None:
        count_answers([json.loads(line)["text"] for line in options.answers.read_text(encoding="utf-8").splitlines()])


def count_parts(paths: list[Path]) -> None:
    """Print how many parts of documents are cut, by kind."""
    rng = random.Random(3)  # noqa: S311 - a draw of pages, not a secret
    n, cut = Counter[str](), Counter[str]()
    for path in paths:
        pages = [page for page in read_document(path).pages if len(page.text.split()) > _LEAST_WORDS]
        for page in rng.sample(pages, min(_PAGES, len(pages))):
            lines = page.text.splitlines(keepends=True)
            part = "".join(lines[rng.randrange(max(1, len(lines) - 20)) :])[:_CHARACTERS]
            kind = "tables" if sum(map(str.isdigit, part)) >= _TABLE * len(part) else "prose"
            n[kind] += 1
            end = cut_at(part)
            if end is not None:
                cut[kind] += 1
                sys.stdout.write(f"{path.name}, {page.label}: {part[end : end + 120]!r}\n")
    for kind in sorted(n):
        sys.stdout.write(f"{kind}: {cut[kind]} of {n[kind]} parts are cut\n")


def count_answers(answers: list[str]) -> None:
    """Print how many answers are stopped, and each from where it is cut."""
    ends = [cut_at(answer) for answer in answers]
    for answer, end in zip(answers, ends, strict=True):
        if end is not None:
            sys.stdout.write(
                f"after {len(answer[:end].split())} of {len(answer.split())} words: {answer[end:][:120]!r}\n"
            )
    sys.stdout.write(f"{sum(end is not None for end in ends)} of {len(answers)} answers are stopped\n")


def cut_at(text: str) -> int | None:
    """Return where a text that grows word by word is cut, as an offset in characters; None if it is not."""
    for end in (i for i, character in enumerate(text) if character.isspace()):
        found = find_repetition(text[:end])
        if found is not None and found.loops:
            return found.start
    return None


if __name__ == "__main__":
    main()
