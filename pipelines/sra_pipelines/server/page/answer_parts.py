"""An answer for display: its text with numbered citations at the sentences they support and with unsupported amounts.

All values here are plain text; the templates escape them.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from sra_pipelines.answering.answers import Answer
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import Claim
from sra_pipelines.retrieval.keywords import keywords
from sra_rag.config import SRAConfig
from sra_rag.evidence_config import EvidenceConfig

__all__ = ["EvidenceBar", "Part", "answer_parts", "evidence_bars", "settings_text"]

PartKind = Literal["text", "unsupported", "citation"]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer.

    Parameters
    ----------
    kind
        Text, an unsupported amount or date, or the number of a citation.
    text
        The text; empty for a citation.
    number
        Number of the citation, from 1; 0 for text.
    """

    kind: PartKind
    text: str = ""
    number: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceBar:
    """How much the model looked at a passage.

    Parameters
    ----------
    document, page_index, page_label
        Page of the passage.
    start, end
        Span of the best line in the text of the page, in characters; the whole passage if it was not located.
    share
        Share of the attention of the evidence heads, in [0, 1].
    length
        Length of the bar relative to the longest one of the answer, in [0, 1].
    line
        The line that received the most attention; empty if it is the heading that precedes the passage in the prompt.
    weighed
        Whether the passage was given more weight.
    """

    document: str
    page_index: int
    page_label: str
    start: int
    end: int
    share: float
    length: float
    line: str
    weighed: bool


def answer_parts(answer: Answer) -> list[Part]:
    """Divide the text of an answer; the texts of the parts are together the text of the answer."""
    marks: list[tuple[int, int, Part]] = []
    for claim in answer.supported.unsupported_figures:
        marks.append((claim.start, claim.end, Part("unsupported", answer.text[claim.start : claim.end])))
    for number, citation in enumerate(answer.citations, start=1):
        for end in _supported_ends(answer, citation):
            marks.append((end, end, Part("citation", number=number)))
    parts, at = [], 0
    for start, end, part in sorted(marks, key=lambda mark: (mark[0], mark[1], mark[2].number)):
        if start < at:  # a date within an amount
            continue
        if start > at:
            parts.append(Part("text", answer.text[at:start]))
        parts.append(part)
        at = end
    if at < len(answer.text):
        parts.append(Part("text", answer.text[at:]))
    return parts


def _supported_ends(answer: Answer, citation: Citation) -> list[int]:
    """Return the ends of the sentences that the page of a citation supports; if none, of the one closest to its quote.

    The end of a sentence is an offset in the text of the answer, in characters. A sentence that is divided by a line
    break, as in copied text, has one end.
    """
    page = (citation.document, citation.page_index)
    on_page = {i for i, passage in enumerate(answer.passages) if (passage.document, passage.page_index) == page}
    sentences = answer.supported.sentences
    if not sentences:
        return [len(answer.text)]
    supported = [bool(on_page & set(sentence.passages)) for sentence in sentences]
    ends = [
        sentence.end
        for sentence, here, next_too in zip(sentences, supported, [*supported[1:], False], strict=True)
        if here and not (next_too and (sentence.text[-1].isalnum() or sentence.text[-1] in ",;-"))
    ]
    if ends:
        return ends
    quoted = set(keywords([citation.quote])[0])

    def shared(sentence: Claim) -> int:
        return len(quoted & set(keywords([sentence.text])[0]))

    return [max(sentences, key=shared).end]


def evidence_bars(answer: Answer) -> list[EvidenceBar]:
    """Return a bar per passage on one scale, in the order of the prompt; empty if evidence was not measured."""
    if answer.evidence is None:
        return []
    longest = max((look.share for look in answer.evidence), default=0.0) or 1.0
    bars = []
    for passage, look in zip(answer.passages, answer.evidence, strict=True):
        at = passage.text.find(look.line) if look.line else -1
        start, end = (
            (passage.start, passage.end) if at < 0 else (passage.start + at, passage.start + at + len(look.line))
        )
        bars.append(
            EvidenceBar(
                passage.document, passage.page_index, passage.page_label, start, end, look.share, look.share / longest,
                look.line if at >= 0 else "", look.weighed,
            )
        )  # fmt: skip
    return bars


def settings_text(sra: SRAConfig | None) -> str:
    """Describe attention settings for users."""
    if sra is None or not sra.enabled:
        return "Without reattention"
    parts = []
    if sra.evidence is not None:
        parts.append("evidence" if sra.evidence.weight is None else f"evidence, {_weights_text(sra.evidence)}")
    if sra.sharpens:
        parts.append(f"alpha {sra.max_alpha:g}, rows {sra.rows}")
    return f"With reattention ({', '.join(parts)})"


def _weights_text(evidence: EvidenceConfig) -> str:
    parts = [f"weight {evidence.weight:g}"] if evidence.weight != 1 else []
    if evidence.others is not None and evidence.others > 1:
        parts.append(f"other passages count {evidence.others:g} times less")
    return ", ".join(parts)
