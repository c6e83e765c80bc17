"""Indexes of many passages: seconds to open, memory, milliseconds of a search, and seconds to add one document.

    python benchmarks/index_sizes.py 10000 100000 --texts FOLDER --to FOLDER

The passages are those of the files in `--texts`, drawn at random, each with a number of its own; so their lengths and
words are real. Documents have 100 passages. Vectors are random, with the dimension of the embedded model. Each size is
measured in its own process. Times are CPU times, because a machine may also do other work; measure with one thread
(`OMP_NUM_THREADS=1`).

Opening reads the index, verifies its digests and fills FAISS; the first search also builds the keyword index. A search
is `Retriever.search`: by meaning and by words, fused, without topics and without the time to embed the question. "Add"
writes one document of 100 passages to the index, has an open index take it up, and searches again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from llama_index.core.embeddings import BaseEmbedding
from sra_pipelines import add_documents
from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import write_seal
from sra_pipelines.index.stored_document import StoredDocument, insert_document
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.reading.splitting import split_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Page, Passage

DIMENSION = 384
PASSAGES = 100  # of a document
QUESTIONS = 40


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
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.to / str(options.sizes[0]))
        return
    texts = None
    print("| passages | open | memory | first search | search, p50 (p95) | add one document of 100 passages |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in options.sizes:
        folder = options.to / str(size)
        if not folder.exists():
            texts = texts or texts_of(options.texts)
            build(folder, size, texts)
        arguments = [str(size), "--texts", str(options.texts), "--to", str(options.to), "--measure"]
        command = [sys.executable, __file__, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
        print(f"| {size:,} | {done.stdout.strip()} |", flush=True)


def texts_of(folder: Path) -> list[str]:
    """Return the texts of the passages of all files in a folder."""
    return [
        passage.text for path in find_documents([folder]) for passage in split_document(read_document(path), path.stem)
    ]


def build(folder: Path, size: int, texts: list[str]) -> None:
    """Create an index of random passages."""
    empty = folder.with_suffix(".empty")
    empty.mkdir(parents=True, exist_ok=True)
    add_documents(folder, [empty], lambda: RandomEmbedding(model_name="random"))
    vectors = np.random.default_rng(size)
    with connect(folder, write=True) as connection, transaction(connection):
        for number in range(size // PASSAGES):
            insert_document(connection, document(f"document-{number}", texts, vectors))
        connection.execute("UPDATE documents SET published = 1")
        write_seal(connection)


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


def measure(folder: Path) -> None:
    """Print the cells of one row."""
    embedding = RandomEmbedding(model_name="random")
    before = peak()
    index, opened = timed(lambda: StoredIndex(folder, embedding))
    retriever = Retriever(index, vocabulary=())
    texts = [passage.text for passage in index.passages()[:: max(1, index.n_passages // QUESTIONS)]][:QUESTIONS]
    questions = [" ".join(text.split()[:12]) for text in texts]
    first = timed(lambda: retriever.search(questions[0]))[1]
    memory = peak() - before
    times = sorted(timed(lambda question=question: retriever.search(question))[1] for question in questions)
    name = f"new-{time.time_ns()}"
    new = document(name, texts, np.random.default_rng(0))

    def add() -> None:
        with connect(folder, write=True) as connection, transaction(connection):
            number = insert_document(connection, new)
            connection.execute("UPDATE documents SET published = 1 WHERE id = ?", (number,))
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
            write_seal(connection)
        index.refresh()
        retriever.search(questions[0])

    added = timed(add)[1]
    print(
        f"{opened:.1f} s | {memory / 2**20:,.0f} MiB | {first:.1f} s | {times[len(times) // 2] * 1000:.1f} ms "
        f"({times[int(len(times) * 0.95)] * 1000:.1f} ms) | {added:.2f} s"
    )


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
