"""The code in the documents about frameworks, stores, the index and re-ranking runs, top to bottom."""

import ast
import re
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import Document as Text
from llama_index.core import MockEmbedding, VectorStoreIndex
from sra_pipelines import add_documents
from sra_pipelines.index.stores.index_vectors import named_store

DOCS = Path(__file__).parents[2] / "docs"


def code_of(name):
    return "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL))


@pytest.mark.parametrize("name", ["frameworks.md", "stores.md"])
def test_the_code_runs(name, tmp_path, monkeypatch, capsys, embedding):
    (tmp_path / "lease.md").write_text("# Lease\n\nThe lease of the warehouse costs 82,400 crowns a year.\n")
    monkeypatch.chdir(tmp_path)
    add_documents(Path("my-index"), [Path("lease.md")], lambda: embedding, embedding_name="embedded", workers=0)
    exec(compile(code_of(name), name, "exec"), {})  # noqa: S102 - our own document
    assert "82,400" in capsys.readouterr().out
    assert named_store(Path("my-index")) is None


def test_the_code_of_the_index_runs_as_a_program(tmp_path, monkeypatch, capsys, embedding):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.md").write_text("# Results\n\nRevenue in 2023 was 82,400 crowns.\n")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(compile(code_of("index.md"), "index.md", "exec"), names)  # noqa: S102 - our own document
    assert capsys.readouterr().out.startswith("report 1 Results ")
    assert len(names["report"].added) == 1


def test_the_code_of_re_ranking_runs(embedded, capsys):
    texts = ["Tickets are sold at the kiosk.", "The lease of the warehouse costs 82,400 crowns.", "The pier is closed."]
    index = VectorStoreIndex.from_documents([Text(text=text) for text in texts], embed_model=MockEmbedding(4))
    store = InMemoryVectorStore.from_texts(texts, DeterministicFakeEmbedding(size=4))
    names = {"index": index, "store": store}
    exec(compile(code_of("rerank.md"), "rerank.md", "exec"), names)  # noqa: S102 - our own document
    first, second = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert second > first
    response = names["engine_with_ranks"].query("What does the warehouse cost?")
    assert response.source_nodes[0].text == texts[1]
    assert names["retriever"].invoke("What does the warehouse cost?")[0].page_content == texts[1]
