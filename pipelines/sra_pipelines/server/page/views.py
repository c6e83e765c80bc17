"""The page's pieces of HTML. What comes from documents, models and people is escaped; all markup is written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from sra_pipelines.answering.answers import Answer
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import Claim
from sra_pipelines.server.page.compared_answers import Column, Turn
from sra_rag.config import SRAConfig

__all__ = [
    "PageText",
    "answer_view",
    "attention_view",
    "citation_view",
    "notice_view",
    "settings_words",
    "turn_view",
    "upload_view",
]

PageText = Callable[[str, int], str | None]
"""Returns the text of a document's page by its zero-based position; None where there is none any more."""

_ABSTAINED = {
    "nothing found": "No passage fits the question, so the model was not asked.",
    "model says so": "The model says that the documents do not hold it.",
    "nothing supported": "Nothing of what the model wrote stands in the passages. Do not rely on it.",
}


def turn_view(turn: Turn, page_text: PageText) -> str:
    """Return a question with its answers, side by side where there are several."""
    columns = "".join(_column(column, page_text) for column in turn.columns if column.text or len(turn.columns) > 1)
    status = f'<p class="sra-status" role="status">{escape(turn.status)}\u2026</p>' if turn.status else ""
    error = f'<p class="sra-error" role="alert">{escape(turn.error)}</p>' if turn.error else ""
    return (
        f'<article class="sra-turn"><h3 class="sra-question">{escape(turn.question)}</h3>'
        f'<div class="sra-columns">{columns}</div>{status}{error}</article>'
    )


def notice_view(text: str) -> str:
    """Return a message to the reader."""
    return f'<p class="sra-error" role="alert">{escape(text)}</p>' if text else ""


def upload_view(suffixes: Sequence[str], most_bytes: int) -> str:
    """Return the field that sends files to ``/page/uploads``, and the list of what became of each.

    Parameters
    ----------
    suffixes
        Of the formats that are read, each with its dot.
    most_bytes
        Larger files are refused without being sent.
    """
    accept = escape(",".join(suffixes), quote=True)
    return (
        '<label class="sra-upload">Add documents'
        f'<input type="file" multiple accept="{accept}" data-most-bytes="{most_bytes}"></label>'
        '<ul class="sra-lines" role="status"></ul>'
    )


def settings_words(sra: SRAConfig | None) -> str:
    """Say in words how an answer was made."""
    if sra is None or not sra.enabled:
        return "Without reattention"
    sharpening = f"alpha {sra.max_alpha:g}, rows {sra.rows}" if sra.sharpens else ""
    evidence = ""
    if sra.evidence is not None:
        weight = "" if sra.evidence.weight is None else f", weight {sra.evidence.weight:g}"
        evidence = f"evidence{weight}"
    return f"With reattention ({', '.join(filter(None, (evidence, sharpening)))})"


def answer_view(answer: Answer) -> str:
    """Return the text of an answer, its unsupported figures marked, and whether it is one at all."""
    parts, at = [], 0
    unsupported: Sequence[Claim] = answer.supported.unsupported_figures
    for claim in sorted(unsupported, key=lambda claim: claim.start):
        if claim.start < at:
            continue
        parts.append(escape(answer.text[at : claim.start]))
        said = escape(answer.text[claim.start : claim.end])
        parts.append(f'<span class="sra-unsupported">{said}<sup>[?]</sup></span>')
        at = claim.end
    text = "".join(parts) + escape(answer.text[at:])
    legend = '<p class="sra-note">[?] stands in none of the passages.</p>' if parts else ""
    abstained = ""
    if answer.abstained is not None:
        reason = escape(_ABSTAINED[answer.abstained])
        abstained = f'<p class="sra-abstained"><strong>No answer.</strong> {reason}</p>'
    text = text or '<em class="sra-note">The model wrote nothing.</em>'
    checked = [f"Note: {note}" for note in answer.notes]
    if answer.calculation is not None:
        sources = "; ".join(map(str, answer.calculation.operands))
        checked.insert(0, f"Computed: {answer.calculation.text}, from {sources}")
    notes = "".join(f'<p class="sra-note">{escape(line)}</p>' for line in checked)
    return f'<p class="sra-text">{text}</p>{legend}{notes}{abstained}'


def citation_view(citation: Citation, page: str | None) -> str:
    """Return a citation that opens on its page, the quoted span marked where it stands there."""
    inside = None if page is None else page[citation.start : citation.end]
    if page is None or inside is None or inside.split() != citation.quote.split() or not inside:
        body = (
            f'<p class="sra-note">The page has changed since. Quoted was:</p>'
            f'<blockquote class="sra-page" tabindex="0">{escape(citation.quote)}</blockquote>'
        )
    else:
        before, after = escape(page[: citation.start]), escape(page[citation.end :])
        label = escape(f"Text of {citation}", quote=True)
        body = (
            f'<div class="sra-page" tabindex="0" role="region" aria-label="{label}">'
            f"{before}<mark>{escape(inside)}</mark>{after}</div>"
        )
    return f'<details class="sra-citation"><summary>{escape(str(citation))}</summary>{body}</details>'


def attention_view(answer: Answer) -> str:
    """Return which passages the answer attended to, as bars with their numbers; empty where it was not measured."""
    shares = answer.attention
    if not shares:
        return ""
    most = max(*shares, 1e-9)
    rest = max(0.0, 1.0 - sum(shares))
    bars = "".join(
        _bar(f"{passage.document}, page {passage.page_label}", share, share / most)
        for share, passage in zip(shares, answer.passages, strict=True)
    )
    return (
        '<details class="sra-attention"><summary>Attention by passage</summary>'
        f'<ul class="sra-bars">{bars}</ul>'
        f'<p class="sra-note">The other {rest:.1%} fell on the instruction, the question and the answer itself.</p>'
        "</details>"
    )


def _bar(name: str, share: float, width: float) -> str:
    return (
        f'<li><span class="sra-bar-name">{escape(name)}</span> <span class="sra-bar-share">{share:.1%}</span>'
        f'<span class="sra-bar" aria-hidden="true"><span style="width:{100 * width:.1f}%"></span></span></li>'
    )


def _column(column: Column, page_text: PageText) -> str:
    heading = f'<h4 class="sra-settings">{escape(settings_words(column.sra))}</h4>'
    if column.answer is None:
        return f'<section class="sra-answer">{heading}<p class="sra-text">{escape(column.text)}</p></section>'
    answer = column.answer
    citations = "".join(
        citation_view(citation, page_text(citation.document, citation.page_index)) for citation in answer.citations
    )
    sources = f'<div class="sra-sources"><h5>Sources</h5>{citations}</div>' if citations else ""
    usage, timing = answer.generation.usage, answer.generation.timing
    seconds = timing.prefill_seconds + timing.decode_seconds
    cost = f'<p class="sra-note">{usage.total_tokens:,} tokens, {seconds:.1f} s</p>'
    return (
        f'<section class="sra-answer">{heading}{answer_view(answer)}{sources}{attention_view(answer)}{cost}</section>'
    )
