"""The code in the documents about frameworks and vector stores runs, top to bottom."""

import re
from pathlib import Path

import pytest
from sra_pipelines import add_documents
from sra_pipelines.index.stores.index_vectors import named_store

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["frameworks.md", "stores.md"])
def test_the_code_runs(name, tmp_path, monkeypatch, capsys, embedding):
    (tmp_path / "lease.md").write_text("# Lease\n\nThe lease of the warehouse costs 82,400 crowns a year.\n")
    monkeypatch.chdir(tmp_path)
    add_documents(Path("my-index"), [Path("lease.md")], lambda: embedding, embedding_name="embedded", workers=0)
    code = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL))
    exec(compile(code, name, "exec"), {})  # noqa: S102 - our own document
    assert "82,400" in capsys.readouterr().out
    assert named_store(Path("my-index")) is None
