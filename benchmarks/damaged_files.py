"""Damaged files: how many are refused, and how many are read in part without a word.

    python benchmarks/damaged_files.py                          the stored files of tests/attacks/corpus
    python benchmarks/damaged_files.py FILE ... --copies 160 --seed 1

Each copy of a file has three bytes changed at random places, or a part cut out, or its end cut off. It is read in a
process of its own, as an upload is. A copy is

- refused, if reading raises an error;
- read whole, if its text is that of the original;
- read with a notice, if its text differs and a notice of a page says that something is left out or uncertain;
- read with other letters, if its text differs without a notice, but has as many words as the original or more;
- read in part without a word, otherwise.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track
from sra_pipelines.reading.processes import LoneReader
from sra_pipelines.values import Document, DocumentError

OUTCOMES = ("refused", "read whole", "read with a notice", "other letters, nothing lost", "read in part without a word")
_CORPUS = Path(__file__).parents[1] / "tests" / "attacks" / "corpus"


def main() -> None:
    """Read the damaged copies and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="undamaged files (default: the corpus)")
    parser.add_argument("--copies", type=int, default=160, help="damaged copies of each file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = options.files or [path for path in sorted(_CORPUS.iterdir()) if path.suffix != ".gz"]
    print(f"| {options.copies} copies of each | " + " | ".join(OUTCOMES) + " |")
    print("|---" * (len(OUTCOMES) + 1) + "|")
    reader = LoneReader()
    try:
        for path in files:
            counts = outcomes(reader, path, options.copies, random.Random(f"{options.seed} {path.name}"))  # noqa: S311
            print(f"| {path.name} | " + " | ".join(str(counts[outcome]) for outcome in OUTCOMES) + " |", flush=True)
    finally:
        reader.close()


def outcomes(reader: LoneReader, path: Path, copies: int, rng: random.Random) -> Counter[str]:
    """Return how many damaged copies of a file have each outcome."""
    original = reader.read(path)
    if isinstance(original, DocumentError):
        sys.exit(f"{path} cannot be read undamaged: {original}")
    content = path.read_bytes()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for _ in track(range(copies), path.name, transient=True):
            copy.write_bytes(damaged(content, rng))
            counts[outcome(original, reader.read(copy))] += 1
    return counts


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Change three bytes, cut a part out or cut the end off."""
    changed = bytearray(content)
    match rng.randrange(3):
        case 0:
            for place in rng.sample(range(len(changed)), min(3, len(changed))):
                changed[place] ^= rng.randrange(1, 256)
        case 1:
            start = rng.randrange(len(changed))
            del changed[start : start + rng.randrange(1, max(2, len(changed) // 4))]
        case _:
            del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def outcome(original: Document, read: Document | DocumentError) -> str:
    """Return the outcome of a damaged copy, one of `OUTCOMES`."""
    if isinstance(read, DocumentError):
        return OUTCOMES[0]
    if texts(read) == texts(original):
        return OUTCOMES[1]
    known = {notice for page in original.pages for notice in page.notices}
    if any(notice not in known for page in read.pages for notice in page.notices):
        return OUTCOMES[2]
    enough = sum(map(len, words(read))) >= sum(map(len, words(original)))
    return OUTCOMES[3] if enough else OUTCOMES[4]


def texts(document: Document) -> list[str]:
    """Return the text of each page."""
    return [page.text for page in document.pages]


def words(document: Document) -> Sequence[list[str]]:
    """Return the words of each page."""
    return [text.split() for text in texts(document)]


if __name__ == "__main__":
    main()
