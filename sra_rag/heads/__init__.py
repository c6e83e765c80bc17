"""Evidence heads: which heads of a model look at the passage that answers a question, and how they are used."""

from sra_rag.heads.head_search import EvidenceHead, find_evidence_heads
from sra_rag.heads.known import evidence_heads, measured_settings

__all__ = ["EvidenceHead", "evidence_heads", "find_evidence_heads", "measured_settings"]
