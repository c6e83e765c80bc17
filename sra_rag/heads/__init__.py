"""Evidence heads: the heads of a model that attend to the passage that answers a question, and their use."""

from sra_rag.heads.head_search import EvidenceHead, find_evidence_heads
from sra_rag.heads.known import evidence_heads, measured_settings

__all__ = ["EvidenceHead", "evidence_heads", "find_evidence_heads", "measured_settings"]
