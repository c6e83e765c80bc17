"""Indexes of many passages: seconds to open, memory, milliseconds of a search, and seconds to add one document.

    python benchmarks/index_sizes.py 10000 100000 --texts FOLDER --to FOLDER --compare

The passages are those of the files in `--texts`, drawn at random, each with a number of its own; so their lengths and
words are real. Documents have 100 passages. Vectors are random, with the dimension of the embedded model. Each index is
built and measured in its own process. Times are CPU times of all threads, because a machine may also do other work;
measure with one thread (`OMP_NUM_THREADS=1`).

Opening reads the index, verifies its digests and fills FAISS; the first search also fills the keyword index. A search
is `Retriever.search`: by meaning (200 passages) and by words (20), fused, without topics and without the time to embed
the question. "Add" writes one document of 100 passages to the index, has an open index take it up, and searches again.

`--compare` measures other systems with the same passages and vectors, see `other_indexes.py`. "Then write" is the time
to write an added document to the disk, if adding does not. "Recall" is the share of the 200 exactly nearest passages
that the dense search finds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from llama_index.core.embeddings import BaseEmbedding
from sra_pipelines import add_documents
from sra_pipelines.index.catalog import IndexedDocument, list_documents
from sra_pipelines.index.derived.derived_values import insert_with_values
from sra_pipelines.index.derived.keyword_blocks import update_blocks
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import write_seal
from sra_pipelines.index.stored_document import StoredDocument, load_document
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.reading.splitting import split_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Page, Passage

if TYPE_CHECKING:
    from other_indexes import OtherIndex

DIMENSION = 384
PASSAGES = 100  # of a document
QUESTIONS = 40
RECALLED = 10  # questions of the recall


class RandomEmbedding(BaseEmbedding):
    """Random vectors, the same for the same text."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = np.random.default_rng(list(text.encode())).standard_normal(DIMENSION)
        return (vector / np.linalg.norm(vector)).tolist()

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def main() -> None:
    """Build an index of each size, and measure it in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of passages")
    parser.add_argument("--texts", type=Path, required=True, help="folder of files whose passages are drawn")
    parser.add_argument("--to", type=Path, required=True, help="folder for the indexes, which are kept")
    parser.add_argument("--compare", action="store_true", help="measure LlamaIndex with bm25s, and Qdrant, too")
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "SYSTEM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        what, system = options.run
        print({"build": build, "measure": measure}[what](options.to, options.sizes[0], system, options.texts))
        return
    print(
        "| passages | system | build | on disk | open | memory | first search | search, p50 (p95) "
        "| add a document of 100 passages | then write | recall |\n|" + "---|" * 11,
        flush=True,
    )
    for size in options.sizes:
        for system in ["sra-rag", *(["LlamaIndex", "Qdrant"] if options.compare else [])]:
            folder = options.to / system / str(size)
            built = "" if folder.exists() else run("build", system, size, options)
            disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            row = run("measure", system, size, options)
            print(f"| {size:,} | {system} | {built} | {disk / 2**20:,.0f} MiB | {row} |", flush=True)


def run(what: str, system: str, size: int, options: argparse.Namespace) -> str:
    """Build or measure an index in a process of its own, and return what it prints."""
    command = [sys.executable, __file__, str(size), "--texts", str(options.texts), "--to", str(options.to)]
    done = subprocess.run(  # noqa: S603 - this file
        [*command, "--run", what, system], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def texts_of(folder: Path) -> list[str]:
    """Return the texts of the passages of all files in a folder."""
    return [
        passage.text for path in find_documents([folder]) for passage in split_document(read_document(path), path.stem)
    ]


def build(to: Path, size: int, system: str, texts: Path) -> str:
    """Create an index of random passages, and return the seconds that it took; the others copy that of sra-rag."""
    if system != "sra-rag":
        other = other_index(to, size, system)
        with connect(to / "sra-rag" / str(size)) as connection:
            return f"{timed(lambda: other.build(stored_documents(connection), DIMENSION))[1]:.1f} s"
    folder, chosen = to / system / str(size), texts_of(texts)
    empty = to / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    add_documents(folder, [empty], lambda: RandomEmbedding(model_name="random"))
    vectors = np.random.default_rng(size)
    seconds = 0.0
    with connect(folder, write=True) as connection, transaction(connection):
        for number in range(size // PASSAGES):
            new = document(f"document-{number}", chosen, vectors)
            seconds += timed(lambda new=new: insert_with_values(connection, new))[1]
        connection.execute("UPDATE documents SET published = 1")
        seconds += timed(lambda: update_blocks(connection, folder, create=True))[1]
        write_seal(connection)
    return f"{seconds:.1f} s"


def stored_documents(connection: sqlite3.Connection) -> Iterator[StoredDocument]:
    """Yield the documents of an index of sra-rag."""
    for number, metadata in list_documents(connection).items():
        if metadata.name.startswith("document-"):  # not those that were added by a measurement
            yield load_document(connection, number, metadata, DIMENSION)[0]


def questions_of(folder: Path) -> list[str]:
    """Return the beginnings of passages of an index, as questions."""
    with connect(folder) as connection:
        documents = stored_documents(connection)
        return [" ".join(next(documents).passages[7].text.split()[2:14]) for _ in range(QUESTIONS)]


def document(name: str, texts: list[str], vectors: np.random.Generator) -> StoredDocument:
    """Return a document of one page for each passage."""
    chosen = random.Random(name).choices(texts, k=PASSAGES)  # noqa: S311 - not for secrets
    pages = tuple(Page(n, str(n + 1), f"{name} {n}. {text}") for n, text in enumerate(chosen))
    passages = tuple(Passage(name, p.index, p.label, p.text, 0.0, "", 0, len(p.text)) for p in pages)
    own = vectors.standard_normal((PASSAGES, DIMENSION)).astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    metadata = IndexedDocument(
        name, f"/{name}.txt", hashlib.sha256(name.encode()).hexdigest(), 1, PASSAGES, PASSAGES, "2025-01-01T00:00:00"
    )
    return StoredDocument(metadata, pages, passages, own)


def measure(to: Path, size: int, system: str, texts: Path) -> str:
    """Return the cells of one row."""
    questions = questions_of(to / "sra-rag" / str(size))
    vectors = [RandomEmbedding(model_name="random").get_query_embedding(question) for question in questions]
    new = document(f"new-{time.time_ns()}", questions, np.random.default_rng(0))
    index = OwnIndex(to / system / str(size)) if system == "sra-rag" else other_index(to, size, system)
    before = peak()
    opened = timed(index.open)[1]
    first = timed(lambda: index.search(questions[0], vectors[0]))[1]
    memory = peak() - before
    pairs = list(zip(questions, vectors, strict=True))
    times = sorted(timed(lambda pair=pair: index.search(*pair))[1] for pair in pairs)

    def add() -> None:
        index.add(new)
        index.search(questions[0], vectors[0])

    exact = to / "sra-rag" / f"{size}.nearest.json"
    nearest = [index.nearest(*pair) for pair in pairs[:RECALLED]]
    if system == "sra-rag":
        exact.write_text(json.dumps(nearest))
    expected = json.loads(exact.read_text())
    recall = np.mean([len({*one} & {*other}) / len(one) for one, other in zip(expected, nearest, strict=True)])
    added, saved = timed(add)[1], timed(index.save)[1]
    return (
        f"{opened:.1f} s | {memory / 2**20:,.0f} MiB | {first:.2f} s | {times[len(times) // 2] * 1000:.1f} ms "
        f"({times[int(len(times) * 0.95)] * 1000:.1f} ms) | {added:.2f} s | {saved:.2f} s | {recall:.2f}"
    )


class OwnIndex:
    """An index of sra-rag, with the interface of `OtherIndex`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._embedding = RandomEmbedding(model_name="random")

    def open(self) -> None:
        """Open the index."""
        self._index = StoredIndex(self._folder, self._embedding)
        self._retriever = Retriever(self._index, vocabulary=())

    def search(self, question: str, vector: Sequence[float]) -> list[Passage]:
        """Search by meaning and by words; the vector of the question is that of `RandomEmbedding`."""
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


def other_index(to: Path, size: int, system: str) -> OtherIndex:
    """Return an index of another system; its packages are imported in its process only."""
    from other_indexes import SYSTEMS

    return SYSTEMS[system](to / system / str(size))


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
