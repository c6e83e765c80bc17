"""Run the checks of a preset on an answer."""

from __future__ import annotations

from collections.abc import Sequence

from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.arithmetic import computed
from sra_pipelines.checks.calculations import Calculation
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.defined_terms import date_pages, used_terms
from sra_pipelines.checks.sections_and_units import cited_sections, lacking_unit_or_period
from sra_pipelines.checks.support import Support
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.metrics.metric import Metrics
from sra_pipelines.retrieval.packing import Pages
from sra_rag.errors import ContextOverflowError, GenerationTimeoutError
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["run_checks"]


def run_checks(
    checks: Sequence[str],
    engine: EngineProtocol,
    retrieval: Retrieval,
    generation: Generation,
    citations: Sequence[Citation],
    supported: Support,
    pages: Pages,
    *,
    abstained: bool = False,
    metrics: Metrics | None = None,
    cancel: Cancellation | None = None,
    timeout: float | None = None,
) -> tuple[tuple[str, ...], Calculation | None]:
    """Run checks on an answer, and return their notes and the calculation for the question, if any.

    Parameters
    ----------
    checks
        Names of the checks to run, from `sra_pipelines.presets.CHECKS`.
    engine
        The model that generated the answer.
    retrieval
        The question and its passages.
    generation
        Output of the model.
    citations
        The pages that support the answer.
    supported
        Which parts of the answer are in the passages.
    pages
        All passages of each page.
    abstained
        Whether the output is a non-answer.
    metrics
        Metrics that are computed from the rows of statements; by default none.
    cancel
        Cancellation of the request.
    timeout
        Time limit in seconds for the answer and its checks together; by default that of the engine. If a check runs out
        of time or exceeds the context window, the answer is still returned, with a note.
    """
    notes: list[str] = []
    calculation = None
    if "section" in checks:
        notes += cited_sections(citations, pages)
    if "terms" in checks and not abstained:
        notes += used_terms(generation.text, pages, citations)
    if "dates" in checks and not abstained:
        notes += date_pages(supported.claims, retrieval.passages)
    if "unit_and_period" in checks and not abstained:
        notes += lacking_unit_or_period(generation.text.strip(), retrieval.question, supported)
    if "arithmetic" in checks:
        calculation, note = _computed(engine, retrieval, generation, metrics or Metrics(), pages, cancel, timeout)
        notes += [note] if note else []
    return tuple(notes), calculation


def _computed(
    engine: EngineProtocol,
    retrieval: Retrieval,
    generation: Generation,
    metrics: Metrics,
    pages: Pages,
    cancel: Cancellation | None,
    timeout: float | None,
) -> tuple[Calculation | None, str]:
    """Return the calculation for a question, if any, and a note if something is missing for it."""
    by_code = computed_metric(retrieval.question, retrieval.passages, retrieval.statements, metrics, pages=pages)
    if by_code is not None and (by_code[0] is not None or retrieval.statements):
        return by_code
    # Without a statement among the passages, the amounts may still be in the rows of another table.
    missing = "" if by_code is None else by_code[1]
    timeout = engine.options.timeout if timeout is None else timeout
    left = None if timeout is None else max(timeout - generation.timing.total_seconds, 1e-3)
    try:
        calculation = computed(engine, retrieval, generation.sra, cancel=cancel, timeout=left)
    except GenerationTimeoutError:
        return None, "nothing was computed: the request timed out"
    except ContextOverflowError:
        return None, "nothing was computed: the passages leave no room in the context window"
    return calculation, "" if calculation is not None else missing
