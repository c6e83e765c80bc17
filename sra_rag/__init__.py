"""Scaled ReAttention for retrieval-augmented generation: attention that keeps closer to the documents.

>>> import sra_rag
>>> engine = sra_rag.Engine(sra_rag.load_model("embedded", sra=0.2))  # doctest: +SKIP
>>> print(engine.generate([{"role": "user", "content": "What is attention?"}]).text)  # doctest: +SKIP
"""

from sra_rag.attention.reattend import reattend
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.generation.engine import Engine
from sra_rag.generation.result import Generation
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.models.loading import LoadedModel, load_model

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
