"""Document question answering: read documents, index them, retrieve passages, and answer with page citations."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

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
    "chardetng_py",
    "semantic_text_splitter",
)

if TYPE_CHECKING:
    from sra_pipelines.answering.answers import Answer
    from sra_pipelines.answering.document_qa import DocumentQA
    from sra_pipelines.index.memory import DocumentIndex
    from sra_pipelines.index.passage_index import PassageIndex
    from sra_pipelines.index.stored_index import StoredIndex, open_index
    from sra_pipelines.index.writer import add_documents, remove_documents
    from sra_pipelines.readers import read_document
    from sra_pipelines.values import Document, DocumentError, Page, Passage
else:  # a visible __getattr__ would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_pipelines.answering.answers": ["Answer"],
            "sra_pipelines.answering.document_qa": ["DocumentQA"],
            "sra_pipelines.index.memory": ["DocumentIndex"],
            "sra_pipelines.index.passage_index": ["PassageIndex"],
            "sra_pipelines.index.stored_index": ["StoredIndex", "open_index"],
            "sra_pipelines.index.writer": ["add_documents", "remove_documents"],
            "sra_pipelines.readers": ["read_document"],
            "sra_pipelines.values": ["Document", "DocumentError", "Page", "Passage"],
        },
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
