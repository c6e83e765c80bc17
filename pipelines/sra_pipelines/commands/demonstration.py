"""Implementation of ``sra-rag demo``: five questions about the sample documents, each answered without and with SRA."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from rich.console import Console

from sra_pipelines.answering.measured_models import measured_models
from sra_pipelines.commands.answer_question import read_files
from sra_pipelines.commands.engine_choice import EngineChoice
from sra_pipelines.commands.progress_bar import progress_bars
from sra_pipelines.presets import load_preset
from sra_pipelines.samples import SampleQuestion, demo_questions, sample_documents
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.importing import without_collection
from sra_rag.models.downloadable import downloadable_models
from sra_rag.models.embedded import EMBEDDED_NAME

__all__ = ["demonstrate"]

_NOT_ANSWERED = "the documents do not say"
_ENOUGH = 4  # of five questions


def demonstrate(model: str | None, sra: SRAConfig | None, *, context_tokens: int | None, fetch: bool) -> None:
    """Answer the demo's questions and print the answers.

    Parameters
    ----------
    model
        Name of the model; None for the smallest fetched model that answers four of five questions, or if there is none,
        the embedded model.
    sra
        Attention settings of the second answer to each question.
    context_tokens
        Maximum number of tokens of passages in a prompt.
    fetch
        Whether to fetch the preferred model first if it is not in the cache.
    """
    console = Console(stderr=True)
    name = model or _default_model(fetch, console)
    out = sys.stdout
    with ExitStack() as opened:
        with progress_bars(console) as start:
            documents, _ = read_files(sample_documents(), start("reading"), console)
            start("importing libraries")
            with without_collection():
                from sra_pipelines.commands.answering import Output, opened_pipeline

            pipeline = opened_pipeline(
                documents, None, choice=EngineChoice(model=name), embedding=None, context_tokens=context_tokens,
                max_new_tokens=64, preset=load_preset("general"), start=start,
            )  # fmt: skip
            qa = opened.enter_context(pipeline)
        out.write(f"model: {name}; documents: {', '.join(document.path.name for document in documents)}\n")
        output = Output(qa, console)
        for question in demo_questions():
            out.write(f"\n=== {question.question}\nexpected: {_expected(question)}\n")
            retrieval = qa.retrieve(question.question)
            output.write_demonstration(retrieval, [None, sra])
    out.write(f"\n{_accuracy(name)}\n")


def _default_model(fetch: bool, console: Console) -> str:
    """Return the preferred model if it is here, or can be fetched, otherwise the embedded one."""
    known = downloadable_models()
    good = [m.name for m in measured_models() if m.name in known and (m.demo or 0) >= _ENOUGH]
    here = next((name for name in good if known[name].is_here), None)
    if here is not None or not good:
        return here or EMBEDDED_NAME
    preferred = known[good[0]]
    reason = "is not here"
    if fetch:
        from sra_rag.models.fetch_bar import fetch_with_bar

        try:
            fetch_with_bar(preferred)
            return preferred.name
        except (SRAError, OSError) as error:
            reason = f"could not be fetched ({str(error).splitlines()[0]})"
    console.print(
        f"{preferred.name} {reason}, so the embedded model answers, which is often wrong. Better answers: sra-rag "
        f"models get {preferred.name} ({preferred.size / 1e6:.0f} MB).",
        soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip
    return EMBEDDED_NAME


def _expected(question: SampleQuestion) -> str:
    if question.answer is None:
        return _NOT_ANSWERED
    return f"{question.answer} ({question.document}, page {question.evidence[0].page + 1})"


def _accuracy(name: str) -> str:
    measured = next((model for model in measured_models() if model.name == name), None)
    if measured is None or measured.demo is None:
        return f"The accuracy of {name} was not measured. Measure it: sra-rag evaluate documents --model {name}"
    return (
        f"In the measurement, {name} answered {measured.demo} of these {len(demo_questions())} questions correctly "
        "with evidence. More questions, models and context sizes: docs/models.md"
    )
