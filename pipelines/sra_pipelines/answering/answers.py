"""The values that a question leads to: the retrieved passages, and the answer."""

from __future__ import annotations

import dataclasses
from typing import Any

from sra_pipelines.checks.abstention import SENTENCE, Abstention
from sra_pipelines.checks.calculations import Calculation
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.relevance import Relevance
from sra_pipelines.checks.support import Support
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.retrieval.vocabulary import Expansion
from sra_pipelines.values import Passage
from sra_rag.config import SRAConfig
from sra_rag.evidence.statements import lines_of_passages
from sra_rag.generation.result import FoundEvidence, Generation, Timing, Usage

__all__ = ["Answer", "PassageEvidence", "Retrieval", "nothing_found", "passage_evidence"]


_ASKED = "Question:"
_LINE_END = "\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Retrieval:
    """The retrieved passages for a question, and the prompt. It is the same for all attention settings.

    Parameters
    ----------
    question
        The question.
    passages
        The passages, in the order of the prompt.
    context
        The passages as one text, including their headings.
    instruction
        The instruction that precedes the passages; by default that of the preset ``general``.
    expansion
        What the vocabulary added to the search; None if the question matches no topic.
    closest
        Cosine of the question and the passage of the index that is closest in meaning; None if it is not known.
    statements
        Which pages of the passages are financial statements, see `Retrieved`.
    ranks
        The rank of each passage in the search, see `Retrieved`; empty if they are not known.
    """

    question: str
    passages: tuple[Passage, ...]
    context: str
    instruction: str = dataclasses.field(default_factory=lambda: load_preset("general").instruction)
    expansion: Expansion | None = None
    closest: float | None = None
    statements: tuple[PlacedStatement, ...] = ()
    ranks: tuple[int, ...] = ()

    def passage_scores(self) -> list[float] | None:
        """Return a number for each passage that is the greater the earlier the search found it; None if not known."""
        return [-float(rank) for rank in self.ranks] or None

    def passage_texts(self) -> list[str]:
        """Return the text of each passage as in the context, including its heading."""
        return [format_passages([passage]) for passage in self.passages]

    def messages(self) -> list[dict[str, str]]:
        """Return the prompt. Passages come first, so that their prefill can be reused across questions and settings."""
        content = f"{self.instruction}\n\n{self.context}\n\n{_ASKED} {self.question}"
        return [{"role": "user", "content": content}]

    def marks(self) -> tuple[str, ...]:
        """Return the lines of the prompt that are no part of an answer: the headings of passages, and "Question:".

        A small model that has answered may go on with the next passage, or with a question of its own. "Question:" is
        no such mark if the passages have it at the beginning of a line, or if the question is about questions.
        """
        headings = dict.fromkeys(f"\n{text.partition(_LINE_END)[0]}" for text in self.passage_texts())
        about_questions = "question" in self.question.lower() or f"\n{_ASKED}" in self.context
        return (*headings, *(() if about_questions else (f"\n{_ASKED}",)))


@dataclasses.dataclass(frozen=True, slots=True)
class PassageEvidence:
    """How much the evidence heads of the model attended to a passage while processing the question.

    Parameters
    ----------
    share
        Share of the attention of these heads to all passages, in [0, 1]; the shares of an answer sum to 1.
    line
        The line of the passage that received the most attention per token.
    weighed
        Whether the keys of the passage were given more weight during the generation of the answer.
    """

    share: float
    line: str
    weighed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An answer and the passages that support it.

    Parameters
    ----------
    question
        The question.
    text
        The text of the answer.
    citations
        Pages that support the answer, best first, each with a quote that was verified to be on the page. Empty if
        the answer abstains, or if the passages do not support it (see `sra_pipelines.checks.grounding`); interfaces
        then show `pages_read` instead of sources.
    passages
        The passages in the prompt.
    generation
        Token usage, timing and settings of the generation.
    supported
        Which amounts, dates, names and sentences of the answer are in the passages.
    abstained
        The reason if the text does not answer the question, otherwise None: see `sra_pipelines.checks.abstention`, and
        `sra_pipelines.checks.relevance` for ``"not about the question"``. If no passages were retrieved, the model is
        not run.
    attention
        If requested: the share of the attention of the answer's tokens to each of `passages`, as a mean over layers,
        heads and tokens. The rest of the attention is on the instruction, the question and the answer itself.
    calculation
        The result computed by code, if the preset enables the check and all amounts were verified on a page.
    notes
        Notes of the checks of the preset.
    evidence
        If the settings weigh evidence: how much attention each of `passages` received before the answer was generated.
    expansion
        What the vocabulary of the preset added to the search; None if the question matches no topic.
    relevance
        How much the quotes of the citations have to do with the question; None if there are none to compare. If it is
        too low, the answer has no citations and is `abstained`.
    """

    question: str
    text: str
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    generation: Generation
    supported: Support = dataclasses.field(default_factory=lambda: Support((), ()))
    abstained: Abstention | None = None
    attention: tuple[float, ...] | None = None
    calculation: Calculation | None = None
    notes: tuple[str, ...] = ()
    evidence: tuple[PassageEvidence, ...] | None = None
    expansion: Expansion | None = None
    relevance: Relevance | None = None

    @property
    def pages_read(self) -> tuple[str, ...]:
        """The pages of the passages in the prompt, such as ``"report, page 5"``, in their order."""
        return tuple(dict.fromkeys(f"{passage.document}, page {passage.page_label}" for passage in self.passages))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        values = dataclasses.asdict(self)
        values["generation"] = self.generation.to_dict()
        if self.calculation is not None:
            values["calculation"] = self.calculation.to_dict()
        return values


def passage_evidence(retrieval: Retrieval, evidence: FoundEvidence | None) -> tuple[PassageEvidence, ...] | None:
    """Return how much attention each passage of a prompt received; None if evidence was not measured."""
    texts = retrieval.passage_texts()
    if evidence is None or len(evidence.shares) != len(texts):
        return None
    parts = []
    found = zip(texts, lines_of_passages(texts), evidence.shares, evidence.best_lines, strict=True)
    for number, (text, spans, share, best) in enumerate(found):
        first, last = spans[min(best, len(spans) - 1)]
        parts.append(PassageEvidence(share, text[first:last].strip(), number in evidence.chosen))
    return tuple(parts)


def nothing_found(question: str, sra: SRAConfig | None) -> Answer:
    """Return the answer for a question without retrieved passages; the model is not run."""
    generation = Generation(SENTENCE, "stop", Usage(0, 0), Timing(0.0, 0.0), (), sra, 0)
    return Answer(question, SENTENCE, (), (), generation, abstained="nothing found")
