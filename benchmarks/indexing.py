"""Pages a second of indexing, by this library and by LlamaIndex's ingestion pipeline, side by side.

    python benchmarks/indexing.py FOLDER
    python benchmarks/indexing.py FOLDER --files 9 --repetitions 5

FOLDER holds PDF files; the `--files` smallest are indexed. All rows use the same embedding model (all-MiniLM-L6-v2),
which is loaded before. LlamaIndex: `SimpleDirectoryReader`, `SentenceSplitter` and `IngestionPipeline`, with chunks of
the same size as here, and with its default chunks of 1,024 tokens, of which the model reads 256. This library:
`add_documents` into a new index, with its readers in other processes, and all that an index writes to the disk.

In each repetition the rows are measured in turn, beginning with another one. The ratio is the median of pages a second
relative to LlamaIndex with chunks of the same size, with the least and the greatest in brackets. CPU time, which
includes the reading processes, is compared too: it does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pypdfium2
from llama_index.core import SimpleDirectoryReader
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.reading.splitting import CHUNK_OVERLAP, CHUNK_TOKENS

SAME = f"LlamaIndex, chunks of {CHUNK_TOKENS} tokens"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of PDF files")
    parser.add_argument("--files", type=int, default=3, help="how many of the smallest files (default: 3)")
    parser.add_argument("--repetitions", type=int, default=3, help="repetitions of each row (default: 3)")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.pdf"), key=lambda path: path.stat().st_size)[: options.files]
    pages = sum(len(pypdfium2.PdfDocument(path)) for path in files)
    print(f"{len(files)} files, {pages} pages, {os.cpu_count()} cores\n", flush=True)
    own = load_embedding()
    plain = HuggingFaceEmbedding(model_name=own.model_name)
    rows: dict[str, Callable[[], int]] = {
        SAME: lambda: ingest(files, SentenceSplitter(chunk_size=CHUNK_TOKENS, chunk_overlap=CHUNK_OVERLAP), plain),
        "LlamaIndex, chunks of 1024 tokens": lambda: ingest(files, SentenceSplitter(), plain),
        "sra-rag": lambda: index(files, own),
    }
    counts: dict[str, int] = {}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    names = list(rows)
    for repetition in range(options.repetitions):
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter(), cpu_seconds()
            counts[name] = rows[name]()
            seconds[name].append((time.perf_counter() - started[0], cpu_seconds() - started[1]))
    print("| | passages | pages/s | ratio | ratio of CPU times |\n|---|---|---|---|---|")
    for name in names:
        wall = statistics.median(pages / total for total, _ in seconds[name])
        ratios = [
            [base[kind] / other[kind] for base, other in zip(seconds[SAME], seconds[name], strict=True)]
            for kind in (0, 1)
        ]
        print(f"| {name} | {counts[name]:,} | {wall:.2f} | {' | '.join(map(spread, ratios))} |")


def ingest(files: list[Path], splitter: SentenceSplitter, embedding: BaseEmbedding) -> int:
    """Read, split and embed with LlamaIndex; return the number of chunks."""
    documents = SimpleDirectoryReader(input_files=files).load_data()
    pipeline = IngestionPipeline(transformations=[splitter, embedding], disable_cache=True)
    return len(pipeline.run(documents=documents))


def index(files: list[Path], embedding: BaseEmbedding) -> int:
    """Index with this library; return the number of passages."""
    with tempfile.TemporaryDirectory() as folder:
        return add_documents(Path(folder) / "index", files, lambda: embedding).n_passages


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the ended processes that it started."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def spread(ratios: list[float]) -> str:
    """Return the median and, in brackets, the minimum and maximum."""
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    main()
