"""Which model the demo uses."""

import io

import pytest
from rich.console import Console
from sra_pipelines.answering.measured_models import default_context_tokens, measured_models
from sra_pipelines.commands import demonstration
from sra_pipelines.samples import demo_questions

from sra_rag.errors import ModelLoadError
from sra_rag.models.downloadable import downloadable_model

GOOD = "qwen2.5-coder-0.5b"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    return tmp_path


def chosen(fetch=False):
    console = Console(file=io.StringIO(), width=300)
    return demonstration._default_model(fetch, console), console.file.getvalue()


def test_the_embedded_model_answers_where_no_better_one_is_and_one_line_says_so(cache):
    name, line = chosen()
    assert name == "embedded"
    assert line.count("\n") == 1
    assert f"sra-rag models get {GOOD}" in line


def test_the_smallest_good_model_that_was_fetched_answers(cache):
    model = downloadable_model(GOOD)
    model.path.parent.mkdir(parents=True)
    with model.path.open("wb") as file:
        file.truncate(model.size)  # sparse: only its size is looked at
    assert chosen() == (GOOD, "")


def test_a_model_that_cannot_be_fetched_is_named_with_the_reason(cache, monkeypatch):
    def unreachable(model):
        raise ModelLoadError("no network")

    monkeypatch.setattr("sra_rag.models.fetch_bar.fetch_with_bar", unreachable)
    name, line = chosen(fetch=True)
    assert name == "embedded"
    assert f"{GOOD} could not be fetched (no network), so the embedded model answers" in line


def test_what_was_measured():
    names = [model.name for model in measured_models()]
    assert names[:2] == ["embedded", GOOD]
    assert all(model.demo is None or model.demo <= len(demo_questions()) for model in measured_models())
    assert default_context_tokens("embedded") == 1500
    assert default_context_tokens("another/model") == 6000
