"""Measure what reattention changes: tasks, metrics, paired comparison with and without."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("sra_evaluations", "evaluations", "scipy", "jinja2", "matplotlib", "sra_pipelines", "llama_index.core")

if TYPE_CHECKING:
    from sra_evaluations.examples import Example
    from sra_evaluations.results.comparison import Comparison
    from sra_evaluations.runs.compare import compare
    from sra_evaluations.tasks import load_task, task_names
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_evaluations.examples": ["Example"],
            "sra_evaluations.results.comparison": ["Comparison"],
            "sra_evaluations.runs.compare": ["compare"],
            "sra_evaluations.tasks": ["load_task", "task_names"],
        },
    )

__all__ = ["Comparison", "Example", "compare", "load_task", "task_names"]
