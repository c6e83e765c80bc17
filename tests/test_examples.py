"""The examples run as they are, and show what they promise."""

import os
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


def test_every_example_is_listed_and_run():
    files = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert files == {*SHOWN, "test_evaluation.py"}
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
