"""Whole document-question-answering pipelines: documents, index, retrieval, an answer with page citations."""

from sra_rag.errors import require_extra

require_extra(
    "sra_pipelines",
    "pipelines",
    "llama_index.core",
    "llama_index.embeddings.huggingface",
    "llama_index.vector_stores.faiss",
    "faiss",
    "pypdfium2",
)

from sra_pipelines.document_qa import Answer, DocumentQA  # noqa: E402 - only once its packages are known to be there
from sra_pipelines.documents import Document, DocumentError, Page, read_document  # noqa: E402
from sra_pipelines.index import DocumentIndex  # noqa: E402
from sra_pipelines.passages import Passage, PassageIndex  # noqa: E402

__all__ = [
    "Answer",
    "Document",
    "DocumentError",
    "DocumentIndex",
    "DocumentQA",
    "Page",
    "Passage",
    "PassageIndex",
    "read_document",
]
