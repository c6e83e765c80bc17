"""A question about one document of a large index: CPU milliseconds of the dense search, and of the first question.

    python benchmarks/chosen_documents.py FOLDER/sra-rag/10000

FOLDER is that of `index_sizes.py`, which builds the index. "Before" searches all passages and leaves out those of other
documents, as for an index that cannot search some documents only, and finds the keywords and kinds of pages of
the document in its text, as for an index that does not store them. "Now" is an index on disk. The two alternate in
one process; medians, with the range.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from index_passages import KnownVectors
from sra_pipelines.answering.chosen_documents import ChosenDocuments
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.revision import Revision

QUESTION = "What is the rent of the warehouse?"


class Plain:
    """An index with passages and a search of all of them, and nothing else that an index on disk has."""

    def __init__(self, index: StoredIndex | ChosenDocuments) -> None:
        self.passages, self.search = index.passages, index.search
        self.n_passages, self.revision = index.n_passages, index.revision


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="an index of index_sizes.py")
    parser.add_argument("--document", default="document-7", help="name of the document (default: document-7)")
    parser.add_argument("--repetitions", type=int, default=9, help="how often each is measured (default: 9)")
    options = parser.parse_args()
    index = StoredIndex(options.index, KnownVectors(model_name="known"))
    names = [options.document]
    own, ranked = ChosenDocuments(index, names), ChosenDocuments(Plain(index), names)
    if own.search(QUESTION, 200) != ranked.search(QUESTION, 200):
        raise SystemExit("The two searches differ.")
    counted = Plain(own)
    print(f"| {index.n_passages:,} passages, {own.n_passages} of the document | now | before | before / now |")
    print("|---|---|---|---|")
    print_row("a search", lambda: own.search(QUESTION, 200), lambda: ranked.search(QUESTION, 200), options.repetitions)
    print_row("the first question", lambda: derived(own), lambda: derived(counted), options.repetitions)


def derived(index: ChosenDocuments | Plain) -> None:
    """Make what the first question needs."""
    Revision(index).is_of_type("", ("contract",))


def print_row(name: str, now: Callable[[], object], before: Callable[[], object], repetitions: int) -> None:
    """Print the times of two functions, which are called in turn."""
    times = [(milliseconds(now), milliseconds(before)) for _ in range(repetitions)]
    cells = [f"{statistics.median(own):.1f} ms ({min(own):.1f} to {max(own):.1f})" for own in zip(*times, strict=True)]
    print(f"| {name} | {cells[0]} | {cells[1]} | {statistics.median(old / new for new, old in times):.0f}x |")


def milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of a function."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


if __name__ == "__main__":
    main()
