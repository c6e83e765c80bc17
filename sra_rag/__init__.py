"""Scaled ReAttention for retrieval-augmented generation: attention that keeps closer to the documents.

>>> import sra_rag
>>> model = sra_rag.load_model("embedded", sra=0.2)  # doctest: +SKIP
>>> print(sra_rag.Engine(model).generate("What is attention?").text)  # doctest: +SKIP
"""

from sra_rag.attention.reattend import reattend
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError

__all__ = ["SRAConfig", "SRAError", "reattend"]
__version__ = "0.1.0"
