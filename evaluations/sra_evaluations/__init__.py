"""Measure what reattention changes: tasks, metrics, paired comparison with and without."""

from sra_rag.errors import require_extra

require_extra("sra_evaluations", "evaluations", "scipy", "jinja2", "matplotlib", "sra_pipelines", "llama_index.core")

from sra_evaluations.examples import Example  # noqa: E402
from sra_evaluations.results.comparison import Comparison  # noqa: E402
from sra_evaluations.runs.compare import compare  # noqa: E402 - only once its packages are known to be there
from sra_evaluations.tasks import load_task, task_names  # noqa: E402

__all__ = ["Comparison", "Example", "compare", "load_task", "task_names"]
