"""Terminal output of the commands: progress bars, and answers with their citations and usage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.marking import mark_as_it_comes
from sra_pipelines.checks.abstention import SENTENCE
from sra_pipelines.checks.support import mark_unsupported
from sra_rag.config import SRAConfig
from sra_rag.evidence_config import EvidenceConfig

__all__ = ["Reporter", "describe", "progress_bars"]

Advance = Callable[[int, int], None]


@contextmanager
def progress_bars(console: Console) -> Iterator[Callable[[str], Advance]]:
    """Show progress bars on a terminal, and nothing elsewhere.

    Yields
    ------
    start
        Function that takes a description, starts a bar, and returns a function of (done, total) that updates it.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:

        def start(description: str) -> Advance:
            task = progress.add_task(description, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield start


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

        for text in mark_as_it_comes(texts(), retrieval) if self.streaming else texts():
            if self.streaming:
                self._write(text)
        [answer] = ended
        self._write("\n" if self.streaming else f"{mark_unsupported(answer.text, answer.supported)}\n")
        if answer.abstained == "nothing supported":
            self._write(f"  {SENTENCE} No part of the answer above is supported by the passages.\n")
        elif not answer.abstained and answer.supported.unsupported_figures:
            amounts = "; ".join(dict.fromkeys(claim.text for claim in answer.supported.unsupported_figures))
            self._write(f"  [?] not in the passages: {amounts}\n")
        if answer.calculation is not None:
            where = "; ".join(map(str, answer.calculation.operands))
            self._write(f"  computed: {answer.calculation.text}\n    from {where}\n")
        for note in answer.notes:
            self._write(f"  note: {note}\n")
        cited = "; ".join(map(str, answer.citations)) or "none: no passage supports the answer"
        usage, timing = answer.generation.usage, answer.generation.timing
        reused = f" ({usage.cached_tokens} reused)" if usage.cached_tokens else ""
        self._write(
            f"  sources: {cited}\n"
            f"  {usage.prompt_tokens} prompt tokens{reused}, {usage.completion_tokens} generated; "
            f"prefill {timing.prefill_seconds:.1f} s, decode {timing.decode_seconds:.1f} s"
            f"{'; stopped at the token limit' if answer.generation.finish_reason == 'length' else ''}\n"
        )
        if answer.evidence is not None:
            self._write(f"  evidence: {_evidence_line(answer)}\n")
        if answer.attention is not None:
            self._write(
                "  attention on the passages (share of the attention of the answer, mean over layers and heads):\n"
            )
            for passage, share in zip(answer.passages, answer.attention, strict=True):
                self._write(f"    {share:6.1%}  {passage.document}, page {passage.page_label}\n")
        return answer

    def passages(self, answer_context: str) -> None:
        """Write the passages in the prompt."""
        self._write(f"--- passages given to the model ---\n{answer_context}\n--- end of passages ---\n")

    def ratio(self, answers: Sequence[Answer]) -> None:
        """Write the time ratios of two answers: prefill (if both reused as many tokens), per token, and total."""
        base, other = (answer.generation for answer in answers)
        parts = []
        if base.usage.cached_tokens == other.usage.cached_tokens:
            parts.append(f"prefill {other.timing.prefill_seconds / base.timing.prefill_seconds:.2f}x")
        steps = [max(1, g.usage.completion_tokens - 1) for g in (base, other)]
        per_step = [g.timing.decode_seconds / n for g, n in zip((base, other), steps, strict=True)]
        if per_step[0] > 0:
            parts.append(f"per generated token {per_step[1] / per_step[0]:.2f}x")
        total = other.timing.total_seconds / base.timing.total_seconds
        self._write(f"time with reattention relative to without: {total:.2f}x in total ({', '.join(parts)})\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _evidence_line(answer: Answer) -> str:
    """Say which passage was weighed and which of its lines got most attention, or that none stood out."""
    looks = list(zip(answer.evidence or (), answer.passages, strict=True))
    weighed = [
        f"{passage.document}, page {passage.page_label} ({look.share:.0%} of the look): {look.line[:100]}"
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
    return f"evidence of weight {evidence.weight:g} on the {evidence.unit} in {count} heads"
