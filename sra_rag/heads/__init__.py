"""Evidence heads: the heads of a model that attend to the passage that answers a question, and their use.

Importing the package is fast, because the list of commands imports it: a name's module is imported on first use.
"""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from sra_rag.heads.head_search import EvidenceHead, find_evidence_heads
    from sra_rag.heads.known import evidence_heads, measured_settings
else:  # a visible __getattr__ would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_rag.heads.head_search": ["EvidenceHead", "find_evidence_heads"],
            "sra_rag.heads.known": ["evidence_heads", "measured_settings"],
        },
    )

__all__ = ["EvidenceHead", "evidence_heads", "find_evidence_heads", "measured_settings"]
