"""Whole document-question-answering pipelines: documents, index, retrieval, an answer with page citations."""

from sra_rag.errors import require_extra

require_extra(
    "sra_pipelines",
    "pipelines",
    "llama_index.core",
    "llama_index.embeddings.huggingface",
    "faiss",
    "pypdfium2",
    "docx",
    "openpyxl",
    "lxml",
    "markdown_it",
    "charset_normalizer",
    "semantic_text_splitter",
)

from sra_pipelines.answering.answers import Answer  # noqa: E402 - only once its packages are known to be there
from sra_pipelines.answering.document_qa import DocumentQA  # noqa: E402
from sra_pipelines.index.memory import DocumentIndex  # noqa: E402
from sra_pipelines.index.passage_index import PassageIndex  # noqa: E402
from sra_pipelines.index.stored_index import StoredIndex, open_index  # noqa: E402
from sra_pipelines.index.writer import add_documents, remove_documents  # noqa: E402
from sra_pipelines.readers import read_document  # noqa: E402
from sra_pipelines.values import (  # noqa: E402
    Document,
    DocumentError,
    Page,
    Passage,
)

__all__ = [
    "Answer",
    "Document",
    "DocumentError",
    "DocumentIndex",
    "DocumentQA",
    "Page",
    "Passage",
    "PassageIndex",
    "StoredIndex",
    "add_documents",
    "open_index",
    "read_document",
    "remove_documents",
]
