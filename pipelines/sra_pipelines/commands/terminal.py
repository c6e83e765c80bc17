"""Terminal output of the commands: answers with their citations and usage."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.marking import mark_as_it_comes
from sra_pipelines.checks.abstention import SENTENCE
from sra_pipelines.checks.support import mark_unsupported
from sra_rag.config import SRAConfig
from sra_rag.evidence_config import EvidenceConfig

__all__ = ["Reporter", "describe"]

_PROBABLY_NOT = "The documents probably do not say."
_ALIKE = 0.5  # share of common words from which differences are listed
_SHOWN = 5  # differences
_QUOTE = 160  # characters
_LINE = 100  # characters of the best line of the evidence
_STOPPED = {
    "length": "; stopped at the token limit",
    "repetition": "; stopped because the answer repeated itself",
}  # by finish reason
_PAGES = 6  # pages that are named where there are no sources


class Reporter:
    """Writes answers to standard output: streamed to a terminal, as a whole to a pipe.

    Parameters
    ----------
    streaming
        Whether to write each piece of text as soon as it is generated.
    """

    def __init__(self, streaming: bool) -> None:
        self.streaming = streaming

    def heading(self, text: str) -> None:
        """Write a line before the output that follows."""
        self._write(f"{text}\n")

    def answer(self, pieces: Iterator[str | Answer], retrieval: Retrieval) -> Answer:
        """Write an answer, its citations, token counts and timing.

        Parameters
        ----------
        pieces
            Stream from `DocumentQA.stream` or `Chat.stream`.
        retrieval
            The question and passages that are answered.
        """
        ended: list[Answer] = []

        def texts() -> Iterator[str]:
            for piece in pieces:
                if isinstance(piece, Answer):
                    ended.append(piece)
                else:
                    yield piece

        held = ""  # white space that is written if something follows it: an answer may end with line breaks
        for text in mark_as_it_comes(texts(), retrieval) if self.streaming else texts():
            if self.streaming:
                shown = (held + text).rstrip()
                held = (held + text)[len(shown) :]
                self._write(shown)
        [answer] = ended
        self._write("\n" if self.streaming else f"{mark_unsupported(answer.text, answer.supported)}\n")
        self._checks(answer)
        cited = "; ".join(map(str, answer.citations))
        usage, timing = answer.generation.usage, answer.generation.timing
        reused = f" ({usage.cached_tokens} reused)" if usage.cached_tokens else ""
        self._write(
            f"  {f'sources: {cited}' if cited else self._without_sources(answer)}\n"
            f"  {usage.prompt_tokens} prompt tokens{reused}, {usage.completion_tokens} generated; "
            f"prefill {timing.prefill_seconds:.1f} s, decode {timing.decode_seconds:.1f} s"
            f"{_STOPPED.get(answer.generation.finish_reason, '')}\n"
        )
        self._origins(answer)
        return answer

    def _checks(self, answer: Answer) -> None:
        """Write the results of the checks of an answer, and notes."""
        if answer.abstained == "nothing supported":
            self._write(f"  {SENTENCE} No part of the answer above is supported by the passages.\n")
        elif answer.abstained == "not about the question":
            self._write(f"  {_PROBABLY_NOT} The lines that the answer above is taken from are about something else.\n")
        elif not answer.abstained and answer.supported.unsupported_figures:
            amounts = "; ".join(dict.fromkeys(claim.text for claim in answer.supported.unsupported_figures))
            self._write(f"  [?] not in the passages: {amounts}\n")
        if not answer.abstained and answer.supported.unchecked:
            unread = "; ".join(dict.fromkeys(claim.text for claim in answer.supported.unchecked))
            self._write(f"  not checked, because it could not be read: {unread}\n")
        if answer.calculation is not None:
            where = "; ".join(map(str, answer.calculation.operands))
            self._write(f"  computed: {answer.calculation.text}\n    from {where}\n")
        for note in answer.notes:
            self._write(f"  note: {note}\n")

    def _origins(self, answer: Answer) -> None:
        """Write what the passages were found with, and which of them the model attended to."""
        if answer.expansion is not None:
            self._write(f"  also searched for: {', '.join(answer.expansion.topics)}\n")
        if answer.evidence is not None:
            self._write(f"  evidence: {_evidence_line(answer)}\n")
        if answer.attention is not None:
            self._write(
                "  attention on the passages (share of the attention of the answer, mean over layers and heads):\n"
            )
            for passage, share in zip(answer.passages, answer.attention, strict=True):
                self._write(f"    {share:6.1%}  {passage.document}, page {passage.page_label}\n")

    def in_brief(self, label: str, answer: Answer) -> None:
        """Write an answer after a label, with its best source and quote, in three lines at most."""
        text = " ".join(mark_unsupported(answer.text, answer.supported).split())
        if answer.abstained == "not about the question":
            self._write(f"{label}: {_PROBABLY_NOT} (The model wrote: {text})\n")
        elif answer.abstained == "nothing supported":
            self._write(f"{label}: {SENTENCE} (The model wrote, without support: {text})\n")
        else:
            self._write(f"{label}: {text}\n")
        if answer.citations:
            best = answer.citations[0]
            quote = " ".join(best.quote.split())
            self._write(f'    {best}: "{quote[:_QUOTE]}{"..." if len(quote) > _QUOTE else ""}"\n')
        else:
            self._write(f"    {self._without_sources(answer)}\n")

    def passages(self, answer_context: str) -> None:
        """Write the passages in the prompt."""
        self._write(f"--- passages given to the model ---\n{answer_context}\n--- end of passages ---\n")

    def comparison(self, base: Answer, other: Answer) -> None:
        """Write how the texts of two answers differ, and the ratio of those times that can be compared.

        If one answer reused more of the prefill than the other, its time to the first token is shorter for that reason
        alone, so only the time per generated token is compared.
        """
        self._write(f"{_difference(base.text, other.text)}\n")
        first, second = base.generation, other.generation
        if not first.usage.prompt_tokens:  # no passage was found, so the model was not run
            return
        parts = []
        steps = [max(1, g.usage.completion_tokens - 1) for g in (first, second)]
        per_step = [g.timing.decode_seconds / n for g, n in zip((first, second), steps, strict=True)]
        if per_step[0] > 0:
            parts.append(f"{per_step[1] / per_step[0]:.2f}x per generated token")
        reused = second.usage.cached_tokens - first.usage.cached_tokens
        if reused == 0:
            parts.append(f"{second.timing.prefill_seconds / first.timing.prefill_seconds:.2f}x until the first token")
            note = ""
        else:
            which = "second" if reused > 0 else "first"
            note = f" (time until the first token not compared: the {which} answer reused {abs(reused):,} more tokens)"
        self._write(f"time of the second answer relative to the first: {', '.join(parts)}{note}\n")

    def _without_sources(self, answer: Answer) -> str:
        """Return the line that an answer without sources has in their place: the pages that were read."""
        pages = answer.pages_read
        if not pages:
            return "passages read: none was found"
        more = f" and {len(pages) - _PAGES} more" if len(pages) > _PAGES else ""
        is_unsupported = answer.abstained in (None, "nothing supported")
        reason = ": the passages do not support the answer" if is_unsupported else ""
        return f"no sources{reason}; passages read: {'; '.join(pages[:_PAGES])}{more}"

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _difference(first: str, second: str) -> str:
    """Return a line about how two texts differ, in words."""
    if first.split() == second.split():
        return "the answers are the same"
    words = first.split(), second.split()
    matcher = difflib.SequenceMatcher(None, *words, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return "the answers differ throughout"
    changes = []
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            removed, added = " ".join(words[0][start:end]), " ".join(words[1][other_start:other_end])
            changes.append(f"{removed or '(nothing)'!r} became {added or '(nothing)'!r}")
    more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return f"the answers differ: {'; '.join(changes[:_SHOWN])}{more}"


def _evidence_line(answer: Answer) -> str:
    """Say which passage was weighed and which of its lines got most attention, or that none stood out."""
    looks = list(zip(answer.evidence or (), answer.passages, strict=True))
    weighed = [
        f"{passage.document}, page {passage.page_label} ({look.share:.0%} of the look): "
        f"{' '.join(look.line.split())[:_LINE]}"
        for look, passage in looks
        if look.weighed
    ]
    return "; ".join(weighed) or "no passage stood out, so none was given more weight"


def describe(sra: SRAConfig | None) -> str:
    """Return a short description of attention settings."""
    if sra is None or not sra.enabled:
        return "without reattention"
    parts = [] if sra.evidence is None else [_evidence_words(sra.evidence)]
    if sra.sharpens:
        alpha = f"{sra.alpha:g}" if isinstance(sra.alpha, float) else "per layer"
        parts += [f"alpha {alpha}", f"rows {sra.rows}", f"policy {sra.policy}"]
        if sra.layers != "all":
            parts.append(f"layers {sra.layers if isinstance(sra.layers, str) else ','.join(map(str, sra.layers))}")
    return f"with reattention ({', '.join(parts)})"


def _evidence_words(evidence: EvidenceConfig) -> str:
    if evidence.weight is None:
        return "evidence"
    count = evidence.heads if isinstance(evidence.heads, int | str) else len(evidence.heads)
    parts = [f"evidence of weight {evidence.weight:g} on the {evidence.unit}"] if evidence.weight != 1 else ["evidence"]
    if evidence.others is not None and evidence.others > 1:
        parts.append(f"other passages count {evidence.others:g} times less")
    return f"{', '.join(parts)} in {count} heads"
