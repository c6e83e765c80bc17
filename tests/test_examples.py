"""The examples run as they are, and show what they promise."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOWN = {
    "llama_index_query_engine.py": ("Which law governs the agreement?", "services_agreement, page "),
    "langchain_citations.py": ("off: ", "evidence: ", ", page "),
    "langgraph_agent.py": ("retrieve", "answer"),
    "server_client.py": ("What is the Commencement Date of the agreement?", "services_agreement, page "),
}


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_every_example_is_listed_and_run():
    files = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert files == {*SHOWN, "test_evaluation.py"}
    files |= {path.name for path in NOTEBOOKS}
    listed = (ROOT / "examples" / "README.md").read_text()
    assert all(f"`{name}`" in listed for name in files)


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_promises(name):
    done = run(f"examples/{name}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(text in done.stdout for text in SHOWN[name]), done.stdout


@pytest.mark.slow
def test_the_example_of_a_test_passes():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_evaluation.py")
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_output(path):  # `make test-notebooks` runs it
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    assert path.stat().st_size < 200_000
    assert all(len(base64.b64decode(picture)) > 5_000 for picture in pictures)


def test_both_notebooks_are_there_and_run_in_ci():
    assert [path.stem for path in NOTEBOOKS] == ["compare_settings", "find_evidence_heads"]
    assert "make test-notebooks" in (ROOT / ".ci" / "run").read_text()
    recipe = re.search(r"^test-notebooks:.*\n\t(.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert "--nbmake" in recipe
    assert "examples/*.ipynb" in recipe
