"""Run the checks that a preset names on an answer."""

from __future__ import annotations

from collections.abc import Sequence

from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.arithmetic import computed
from sra_pipelines.checks.calculations import Calculation
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.defined_terms import terms_said, where_dates_stand
from sra_pipelines.checks.sections_and_units import cited_sections, lacking_unit_or_period
from sra_pipelines.checks.support import Support
from sra_pipelines.retrieval.packing import Pages
from sra_rag.errors import ContextOverflowError, GenerationTimeoutError
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["run_checks"]


def run_checks(
    checks: Sequence[str],
    engine: EngineProtocol,
    found: Retrieval,
    generation: Generation,
    citations: Sequence[Citation],
    supported: Support,
    pages: Pages,
    *,
    abstained: bool = False,
    cancel: Cancellation | None = None,
    timeout: float | None = None,
) -> tuple[tuple[str, ...], Calculation | None]:
    """Return notes on an answer, and what was computed for its question.

    Parameters
    ----------
    checks
        Names of `sra_pipelines.presets.CHECKS`.
    engine, found, generation
        Who answered, what was asked and given, and what came.
    citations, supported, pages
        What the answer rests on; all passages of each page.
    abstained
        Whether it is no answer.
    cancel, timeout
        Of the request, by default the engine's: seconds for the answer and its checks together. An answer that is there
        is not lost to a check that has no time or room left; a note says so.
    """
    notes: list[str] = []
    calculation = None
    if "section" in checks:
        notes += cited_sections(citations, pages)
    if "terms" in checks and not abstained:
        notes += terms_said(generation.text, pages, citations)
    if "dates" in checks and not abstained:
        notes += where_dates_stand(supported.claims, found.passages)
    if "unit_and_period" in checks and not abstained:
        notes += lacking_unit_or_period(generation.text.strip(), found.question, supported)
    if "arithmetic" in checks:
        timeout = engine.options.timeout if timeout is None else timeout
        left = None if timeout is None else max(timeout - generation.timing.total_seconds, 1e-3)
        try:
            calculation = computed(engine, found, generation.sra, cancel=cancel, timeout=left)
        except GenerationTimeoutError:
            notes.append("nothing was computed: the time of the request was over")
        except ContextOverflowError:
            notes.append("nothing was computed: the passages leave no room in the model's window")
    return tuple(notes), calculation
