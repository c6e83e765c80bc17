"""Prepare documents for an index on Ray: the bytes of a file go to a worker, its pages, passages and vectors come back.

No file system has to be shared. The one who asked writes the index, alone, as ever.
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
from sra_pipelines.values import DocumentError, Page, Passage

__all__ = ["IndexWork", "prepared_on_ray"]

# What text, passages and vectors hang on.
_PACKAGES = (
    "sra-rag", "charset-normalizer", "lxml", "markdown-it-py", "openpyxl", "pypdfium2", "python-docx",
    "semantic-text-splitter", "sentence-transformers", "transformers",
)  # fmt: skip
_MOST_BYTES = 1 << 30  # of a file
_AT_ONCE_BYTES = 512 << 20  # on their way through Ray; behind each such load the workers begin anew
_WORKER_BYTES = 3 << 29  # a process with PyTorch, a small embedding model, and another that reads


@dataclasses.dataclass(frozen=True, slots=True)
class IndexWork:
    """What a worker has to know of the index.

    Parameters
    ----------
    embedding, embedding_name
        As for `sra_pipelines.index.writer.add_documents`.
    identity
        Of the model that the index has.
    index
        What messages call it.
    splitting
        Of the index.
    limits
        For files from somebody else.
    """

    embedding: Callable[[], BaseEmbedding]
    embedding_name: str | None
    identity: EmbeddingIdentity
    index: str
    splitting: Splitting
    limits: ReadingLimits | None


class IndexWorker(RayWorker):
    """Reads, splits and embeds documents."""

    def load(self, work: IndexWork) -> None:  # type: ignore[override]  # its own arguments
        """Load the embedding model, which has to be the index's."""
        self._model = work.embedding()
        work.identity.require_same(EmbeddingIdentity.of(self._model, work.embedding_name), work.index)
        self._splitting = work.splitting
        self._reader = LoneReader(limits=work.limits)

    def work(self, piece: Piece) -> Piece:
        """Take a file's bytes and return what `_to_piece` makes of the document, or why it cannot be read."""
        file = Wanted(**{**piece.said, "path": Path(piece.said["path"])})
        with tempfile.TemporaryDirectory(prefix="sra-rag-") as folder:
            copy = Path(folder) / file.path.name
            copy.write_bytes(piece.data)
            document = self._reader.read(copy)
        if isinstance(document, DocumentError):
            return Piece({"path": str(file.path), "problem": str(document).replace(str(copy), str(file.path))})
        return _to_piece(embed_document(document, file, self._model, self._splitting), document.empty_pages)


def prepared_on_ray(
    files: Sequence[Wanted], work: IndexWork, options: RayOptions, progress: Progress
) -> Generator[Prepared, None, None]:
    """Read, split and embed files on Ray.

    Parameters
    ----------
    files
        What to read.
    work
        What the workers have to know.
    options
        Which cluster, and how many workers.
    progress
        Told that Ray is starting, and that the work begins.

    Yields
    ------
    Prepared
        In the order in which they are done.

    Raises
    ------
    MissingExtraError, RayError, ConfigError
        If Ray is not installed, cannot be reached, has no room, or a worker refuses.
    """
    progress("starting Ray", 0.0, 1.0)
    by_path = {str(file.path): file for file in files}
    with ray_cluster(options):
        workers = place_workers(options.workers, len(files), cpus=1, memory=_WORKER_BYTES)
        progress("indexing", 0.0, float(sum(file.bytes for file in files)))
        for load in _loads(files):
            pieces = []
            for file in load:
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


def _loads(files: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Divide files so that those of one load fit into memory together."""
    load: list[Wanted] = []
    size = 0
    for file in files:
        if load and size + file.bytes > _AT_ONCE_BYTES:
            yield load
            load, size = [], 0
        load.append(file)
        size += file.bytes
    yield load


def _bytes_of(file: Wanted) -> bytes:
    if file.bytes > _MOST_BYTES:
        raise DocumentError(
            f"{file.path}: the file has more than {_MOST_BYTES >> 20:,} MB, too many to send to a worker. "
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


def _to_piece(document: StoredDocument, empty_pages: Sequence[str]) -> Piece:
    said = {
        "path": document.about.path,
        "about": dataclasses.asdict(document.about),
        "pages": [(page.index, page.label, page.text) for page in document.pages],
        "passages": [dataclasses.asdict(passage) for passage in document.passages],
        "dimension": document.vectors.shape[1],
        "empty_pages": list(empty_pages),
    }
    return Piece(said, document.vectors.astype("<f4").tobytes())


def _prepared(file: Wanted, done: Piece) -> Prepared:
    said: dict[str, Any] = dict(done.said)
    if "problem" in said:
        return Prepared(file, DocumentError(said["problem"]))
    passages = tuple(Passage(**passage) for passage in said["passages"])
    vectors = np.frombuffer(done.data, dtype="<f4").reshape(len(passages), said["dimension"])
    pages = tuple(Page(*page) for page in said["pages"])
    document = StoredDocument(IndexedDocument(**said["about"]), pages, passages, vectors)
    return Prepared(file, document, tuple(said["empty_pages"]))
