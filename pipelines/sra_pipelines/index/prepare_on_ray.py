"""Prepare documents for an index on Ray: workers receive the bytes of files, and return pages, passages and vectors.

A shared file system is not required. Only the calling process writes the index.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.preparation import Prepared, Progress, Wanted, embed_document
from sra_pipelines.index.stored_document import StoredDocument
from sra_pipelines.ray.cluster import RayOptions, place_workers, ray_cluster
from sra_pipelines.ray.pieces import Piece, RayWorker, work_on_ray
from sra_pipelines.ray.versions import installed_versions
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.values import Document, DocumentError, Page, Passage

__all__ = ["IndexWork", "prepared_on_ray"]

# Packages that affect text, passages and vectors.
_PACKAGES = (
    "sra-rag", "chardetng-py", "lxml", "markdown-it-py", "openpyxl", "pypdfium2", "python-docx",
    "semantic-text-splitter", "sentence-transformers", "transformers",
)  # fmt: skip
_MOST_BYTES = 1 << 30  # maximum size of a file
_AT_ONCE_BYTES = 512 << 20  # files in the object store at once; workers are restarted for each batch
_WORKER_BYTES = 3 << 29  # a process with PyTorch and a small embedding model, and a reading process


@dataclasses.dataclass(frozen=True, slots=True)
class IndexWork:
    """Settings of the index for a worker.

    Parameters
    ----------
    embedding, embedding_name
        See `sra_pipelines.index.writer.add_documents`.
    identity
        Identity of the embedding model of the index.
    index
        Name of the index in messages.
    splitting
        Splitting of the index.
    limits
        Limits on untrusted files; None for no limits.
    """

    embedding: Callable[[], BaseEmbedding]
    embedding_name: str | None
    identity: EmbeddingIdentity
    index: str
    splitting: Splitting
    limits: ReadingLimits | None


class IndexWorker(RayWorker):
    """Reads, splits and embeds documents."""

    def load(self, work: IndexWork) -> None:  # type: ignore[override]  # takes specific arguments
        """Load the embedding model, and check that it is the model of the index."""
        self._model = work.embedding()
        work.identity.require_same(EmbeddingIdentity.of(self._model, work.embedding_name), work.index)
        self._splitting = work.splitting
        self._reader = LoneReader(limits=work.limits)

    def work(self, piece: Piece) -> Piece:
        """Read a file from its bytes, and return the document as a piece, or the reason why it cannot be read."""
        file = Wanted(**{**piece.said, "path": Path(piece.said["path"])})
        with tempfile.TemporaryDirectory(prefix="sra-rag-") as folder:
            copy = Path(folder) / file.path.name
            copy.write_bytes(piece.data)
            document = self._reader.read(copy)
        if isinstance(document, DocumentError):
            return Piece({"path": str(file.path), "problem": str(document).replace(str(copy), str(file.path))})
        return _to_piece(embed_document(document, file, self._model, self._splitting), document)


def prepared_on_ray(
    files: Sequence[Wanted], work: IndexWork, options: RayOptions, progress: Progress
) -> Generator[Prepared, None, None]:
    """Read, split and embed files on Ray.

    Parameters
    ----------
    files
        Files to read.
    work
        Settings of the index for the workers.
    options
        Address of the cluster and number of workers.
    progress
        Progress callback; called when Ray starts and when the work starts.

    Yields
    ------
    Prepared
        The result for each file, in order of completion.

    Raises
    ------
    MissingExtraError, RayError, ConfigError
        If Ray is not installed, cannot be reached or has not enough resources, or a worker refuses the work.
    """
    progress("starting Ray", 0.0, 1.0)
    by_path = {str(file.path): file for file in files}
    with ray_cluster(options):
        workers = place_workers(options.workers, len(files), cpus=1, memory=_WORKER_BYTES)
        progress("indexing", 0.0, float(sum(file.bytes for file in files)))
        for batch in _batches(files):
            pieces = []
            for file in batch:
                try:
                    said = dataclasses.asdict(file) | {"path": str(file.path)}
                    pieces.append(Piece(said, _bytes_of(file)))
                except DocumentError as problem:
                    yield Prepared(file, problem)
            if pieces:
                arguments = {"work": work}
                versions = installed_versions(_PACKAGES)
                for done in work_on_ray(pieces, IndexWorker, workers, versions=versions, arguments=arguments):
                    yield _prepared(by_path[done.said["path"]], done)


def _batches(files: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Divide files into batches that fit into memory."""
    batch: list[Wanted] = []
    size = 0
    for file in files:
        if batch and size + file.bytes > _AT_ONCE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.bytes
    yield batch


def _bytes_of(file: Wanted) -> bytes:
    if file.bytes > _MOST_BYTES:
        raise DocumentError(
            f"{file.path}: the file has more than {_MOST_BYTES >> 20:,} MB, too much to send to a worker. "
            "Add it without Ray."
        )
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise DocumentError(
            f"{file.path}: the file cannot be read ({error.strerror}). Check its permissions."
        ) from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DocumentError(f"{file.path}: the file changed while it was being indexed. Run the command again.")
    return data


def _to_piece(document: StoredDocument, read: Document) -> Piece:
    said = {
        "path": document.metadata.path,
        "metadata": dataclasses.asdict(document.metadata),
        "pages": [(page.index, page.label, page.text) for page in document.pages],
        "passages": [dataclasses.asdict(passage) for passage in document.passages],
        "dimension": document.vectors.shape[1],
        "empty_pages": list(read.empty_pages),
        "notices": list(read.notices),
    }
    return Piece(said, document.vectors.astype("<f4").tobytes())


def _prepared(file: Wanted, done: Piece) -> Prepared:
    said: dict[str, Any] = dict(done.said)
    if "problem" in said:
        return Prepared(file, DocumentError(said["problem"]))
    passages = tuple(Passage(**passage) for passage in said["passages"])
    vectors = np.frombuffer(done.data, dtype="<f4").reshape(len(passages), said["dimension"])
    pages = tuple(Page(*page) for page in said["pages"])
    document = StoredDocument(IndexedDocument(**said["metadata"]), pages, passages, vectors)
    return Prepared(file, document, tuple(said["empty_pages"]), tuple(said["notices"]))
