"""Scaled ReAttention for retrieval-augmented generation: attention that stays closer to the documents.

>>> import sra_rag
>>> engine = sra_rag.Engine(sra_rag.load_model("embedded", sra=0.2))  # doctest: +SKIP
>>> print(engine.generate([{"role": "user", "content": "What is attention?"}]).text)  # doctest: +SKIP

Importing the package is fast: the module of a name, with torch and transformers, is imported on first use.
"""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from sra_rag.attention.reattend import reattend
    from sra_rag.config import SRAConfig
    from sra_rag.errors import SRAError
    from sra_rag.generation.engine import Engine
    from sra_rag.generation.result import Generation
    from sra_rag.generation.sampling import SamplingOptions
    from sra_rag.models.loading import LoadedModel, load_model
else:  # a visible __getattr__ would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_rag.attention.reattend": ["reattend"],
            "sra_rag.config": ["SRAConfig"],
            "sra_rag.errors": ["SRAError"],
            "sra_rag.generation.engine": ["Engine"],
            "sra_rag.generation.result": ["Generation"],
            "sra_rag.generation.sampling": ["SamplingOptions"],
            "sra_rag.models.loading": ["LoadedModel", "load_model"],
        },
    )

__all__ = [
    "Engine",
    "Generation",
    "LoadedModel",
    "SRAConfig",
    "SRAError",
    "SamplingOptions",
    "load_model",
    "reattend",
]
__version__ = "0.1.0"
