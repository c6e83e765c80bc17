"""LlamaIndex's default pipeline over PDF files, as a baseline of `retrieval_filings.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.node_parser import SentenceSplitter

__all__ = ["BM25_ROW", "DEFAULT_ROW", "LlamaIndexRows"]

DEFAULT_ROW = "LlamaIndex: SentenceSplitter(1024), VectorStoreIndex"
BM25_ROW = "LlamaIndex: the same, QueryFusionRetriever with BM25"
_CANDIDATES = 50


class LlamaIndexRows:
    """The retrievers of LlamaIndex over PDF files in one index, with the vectors kept in a folder.

    Parameters
    ----------
    pdfs
        The files.
    kept
        Folder of the vectors of this index and of others. The index is named after its first file.
    model
        The embedding model.

    Attributes
    ----------
    rows
        Functions by the name of their row. Each returns the pages that fit in a budget, as
        pairs of file stem and page index: ``(question, budget, count)``.
    """

    def __init__(self, pdfs: Sequence[Path], kept: Path, model: Any) -> None:
        at = kept / pdfs[0].stem
        if not at.exists():
            nodes = SentenceSplitter().get_nodes_from_documents(SimpleDirectoryReader(input_files=pdfs).load_data())
            VectorStoreIndex(nodes, embed_model=model).storage_context.persist(str(at))
        index: Any = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(at)), embed_model=model)
        dense = index.as_retriever(similarity_top_k=_CANDIDATES)
        # The labels of pages are not their positions: positions are those of the reader, one document a page.
        self._positions = {
            (pdf.name, label): (pdf.stem, number) for pdf in pdfs for label, number in _positions(pdf).items()
        }
        self.rows: dict[str, Callable[..., set[tuple[str, int]]]] = {DEFAULT_ROW: _Row(dense, self._positions)}
        fused = _fused(dense, list(index.docstore.docs.values()))
        if fused is not None:
            self.rows[BM25_ROW] = _Row(fused, self._positions)


class _Row:
    counts = True

    def __init__(self, retriever: Any, positions: dict[tuple[str, str], tuple[str, int]]) -> None:
        self.retriever, self.positions = retriever, positions

    def __call__(self, question: str, budget: int, count: Callable[[str], int]) -> set[tuple[str, int]]:
        """Return the pages of the best chunks that fit; chunks that do not fit are skipped, as by `pack_passages`."""
        pages: set[tuple[str, int]] = set()
        for hit in self.retriever.retrieve(question):
            cost = count(hit.node.get_content())
            if cost <= budget:
                budget -= cost
                pages.add(self.positions[hit.node.metadata["file_name"], hit.node.metadata["page_label"]])
        return pages


def _positions(pdf: Path) -> dict[str, int]:
    """Return the position of the first page with each label."""
    import pypdf

    own = list(pypdf.PdfReader(pdf).page_labels)
    return {label: number for number, label in reversed(list(enumerate(own)))}


def _fused(dense: Any, nodes: list[Any]) -> Any:
    try:
        from llama_index.retrievers.bm25 import BM25Retriever
    except ImportError:
        return None
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever

    words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=_CANDIDATES)
    return QueryFusionRetriever(
        [dense, words],
        llm=MockLLM(),
        num_queries=1,
        similarity_top_k=_CANDIDATES,
        mode="reciprocal_rerank",
        use_async=False,
    )
