"""Indexes of many passages: seconds to open, memory, milliseconds of a search, and seconds to add one document.

    python benchmarks/index_sizes.py 10000 100000 --texts FOLDER --to FOLDER --compare
    python benchmarks/index_sizes.py 10000 100000 --like INDEX --to FOLDER --compare

The passages are those of the files in `--texts` or of the index `--like`, drawn at random, each with a number of its
own; so their lengths and words are real. Documents have 100 passages. With `--texts` vectors are random, with the
dimension of the embedded model, and so are those of questions. With `--like` a passage has its vector in that index
plus half of the difference of the vectors of two other passages, and questions are embedded by the model of that index;
see `index_passages.py`.

Each index is built and measured in its own process. Times are CPU times of all threads, because a machine may also do
other work; measure with one thread (`OMP_NUM_THREADS=1`). Built indexes are kept and used again; a copy is measured,
because a measurement adds a document.

Opening reads the index, verifies its digests and fills FAISS; the first search also fills the keyword index. A search
is `Retriever.search`: by meaning (200 passages) and by words (20), fused, without topics and without the time to embed
the question. "Add" writes one document of 100 passages to the index, has an open index take it up, and searches again.
"Memory" is the growth of the peak of the process until after the first search.

`--compare` measures other systems with the same passages and vectors, see `other_indexes.py`. "Then write" is the time
to write an added document to the disk, if adding does not. "Recall" is the share of the 10 and of the 200 exactly
nearest passages of each question that are among the 10 and 200 first that the dense search finds.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from index_passages import (
    PASSAGES,
    KnownVectors,
    Question,
    Source,
    document_of,
    load_questions,
    stored_documents,
    write_questions,
)
from sra_pipelines import add_documents
from sra_pipelines.index.derived.derived_values import insert_with_values
from sra_pipelines.index.derived.keyword_blocks import update_blocks
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import write_seal
from sra_pipelines.index.stored_document import StoredDocument
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage

if TYPE_CHECKING:
    from other_indexes import OtherIndex

OWN = "sra-rag"
OTHERS = ["LlamaIndex", "Qdrant"]
NEAREST = (10, 200)  # passages of which the recall is measured


def main() -> None:
    """Build an index of each size, and measure it in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of passages")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--texts", type=Path, help="folder of files whose passages are drawn")
    source.add_argument("--like", type=Path, help="index of sra-rag whose passages and vectors are drawn")
    parser.add_argument("--to", type=Path, required=True, help="folder for the indexes, which are kept")
    parser.add_argument(
        "--compare", nargs="*", choices=OTHERS, help="measure LlamaIndex with bm25s and Qdrant too, or one of them"
    )
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "SYSTEM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        what, system = options.run
        size = options.sizes[0]
        print(build(options, size, system) if what == "build" else measure(options.to, size, system))
        return
    print(
        "| passages | system | build | on disk | open | memory | first search | search, p50 (p95) "
        "| add a document of 100 passages | then write | recall of 10, of 200 |\n|" + "---|" * 11,
        flush=True,
    )
    others = [] if options.compare is None else options.compare or OTHERS
    for size in options.sizes:
        for system in [OWN, *others]:
            folder = folder_of(options.to, size, system)
            built = "" if folder.exists() else run("build", system, size, options)
            disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            row = run("measure", system, size, options)
            print(f"| {size:,} | {system} | {built} | {disk / 2**20:,.0f} MiB | {row} |", flush=True)


def run(what: str, system: str, size: int, options: argparse.Namespace) -> str:
    """Build or measure an index in a process of its own, and return what it prints."""
    source = ["--texts", str(options.texts)] if options.like is None else ["--like", str(options.like)]
    command = [sys.executable, __file__, str(size), *source, "--to", str(options.to)]
    done = subprocess.run(  # noqa: S603 - this file
        [*command, "--run", what, system], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def folder_of(to: Path, size: int, system: str) -> Path:
    """Return the folder of an index."""
    return to / system / str(size)


def questions_of(to: Path, size: int) -> Path:
    """Return the file of the questions to the indexes of one size."""
    return folder_of(to, size, OWN).with_suffix(".questions.json")


def build(options: argparse.Namespace, size: int, system: str) -> str:
    """Create an index, and return the seconds that it took; the others copy that of sra-rag."""
    folder = folder_of(options.to, size, system)
    part = folder.with_suffix(".part")  # so that one whose creation was stopped is not used
    shutil.rmtree(part, ignore_errors=True)
    if system == OWN:
        source = Source(options.texts, options.like)
        seconds = build_own(part, size, source)
        write_questions(questions_of(options.to, size), source, part)
    else:
        other = other_index(part, system)
        with connect(folder_of(options.to, size, OWN)) as connection:
            dimension = next(stored_documents(connection)).vectors.shape[1]
            seconds = timed(lambda: other.build(stored_documents(connection), dimension))[1]
    part.rename(folder)
    return f"{seconds:.1f} s"


def build_own(folder: Path, size: int, source: Source) -> float:
    """Create an index of sra-rag, and return the seconds that it took."""
    with tempfile.TemporaryDirectory() as empty:
        add_documents(folder, [Path(empty)], lambda: KnownVectors(model_name="known", dimension=source.dimension))
    seconds = 0.0
    with connect(folder, write=True) as connection, transaction(connection):
        for number in range(size // PASSAGES):
            new = source.document(f"document-{number}")
            seconds += timed(lambda new=new: insert_with_values(connection, new))[1]
        connection.execute("UPDATE documents SET published = 1")
        seconds += timed(lambda: update_blocks(connection, folder, create=True))[1]
        write_seal(connection)
    return seconds


def measure(to: Path, size: int, system: str) -> str:
    """Return the cells of one row; a copy is measured."""
    with tempfile.TemporaryDirectory(prefix="copy-", dir=to) as scratch:
        folder = shutil.copytree(folder_of(to, size, system), Path(scratch) / "copy")
        return measure_copy(folder, to, size, system)


def measure_copy(folder: Path, to: Path, size: int, system: str) -> str:
    """Return the cells of one row."""
    questions = load_questions(questions_of(to, size))
    index = OwnIndex(folder, questions) if system == OWN else other_index(folder, system)
    before = peak()
    opened = timed(index.open)[1]
    first = timed(lambda: index.search(*questions[0]))[1]
    memory = peak() - before
    times = sorted(timed(lambda question=question: index.search(*question))[1] for question in questions)
    nearest = [index.nearest(*question) for question in questions]
    exact = folder_of(to, size, OWN).with_suffix(".nearest.json")
    if system == OWN:
        exact.write_text(json.dumps(nearest), encoding="utf-8")
    recalls = [recall(json.loads(exact.read_text("utf-8")), nearest, count) for count in NEAREST]
    with connect(folder_of(to, size, OWN)) as connection:
        known = next(stored_documents(connection))
    new = document_of("added", [passage.text for passage in known.passages], known.vectors)

    def add() -> None:
        index.add(new)
        index.search(*questions[0])

    added, saved = timed(add)[1], timed(index.save)[1]
    return (
        f"{opened:.1f} s | {memory / 2**20:,.0f} MiB | {first:.2f} s | {times[len(times) // 2] * 1000:.1f} ms "
        f"({times[int(len(times) * 0.95)] * 1000:.1f} ms) | {added:.2f} s | {saved:.2f} s | "
        + ", ".join(f"{share:.2f}" for share in recalls)
    )


def recall(expected: list[list[str]], nearest: list[list[str]], count: int) -> float:
    """Return the mean share of the expected passages that are found among as many."""
    shares = [len({*one[:count]} & {*other[:count]}) / count for one, other in zip(expected, nearest, strict=True)]
    return float(np.mean(shares))


class OwnIndex:
    """An index of sra-rag, with the interface of `OtherIndex`."""

    def __init__(self, folder: Path, questions: Sequence[Question]) -> None:
        self._folder = folder
        dimension = len(questions[0].vector)
        self._embedding = KnownVectors(model_name="known", dimension=dimension, known=dict(questions))

    def open(self) -> None:
        """Open the index."""
        self._index = StoredIndex(self._folder, self._embedding)
        self._retriever = Retriever(self._index, vocabulary=())

    def search(self, question: str, vector: Sequence[float]) -> list[Passage]:
        """Search by meaning and by words; the vector of the question is known to the embedding."""
        del vector
        return self._retriever.search(question)

    def nearest(self, question: str, vector: Sequence[float]) -> list[str]:
        """Return the ids of the 200 passages that are closest to a question."""
        del vector
        return [f"{hit.document} {hit.page_index}" for hit in self._index.search(question, 200)]

    def add(self, new: StoredDocument) -> None:
        """Write a document to the index, and take it up."""
        with connect(self._folder, write=True) as connection, transaction(connection):
            number = insert_with_values(connection, new)
            connection.execute("UPDATE documents SET published = 1 WHERE id = ?", (number,))
            update_blocks(connection, self._folder, create=True)
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
            write_seal(connection)
        self._index.refresh()

    def save(self) -> None:
        """Do nothing: `add` has written the document."""


def other_index(folder: Path, system: str) -> OtherIndex:
    """Return an index of another system; its packages are imported in its process only."""
    from other_indexes import SYSTEMS

    return SYSTEMS[system](folder)


def timed(work):  # noqa: ANN001, ANN201 - any function, and what it returns
    """Return the result of a function, and its CPU time in seconds."""
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def peak() -> int:
    """Return the peak memory of this process in bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


if __name__ == "__main__":
    main()
