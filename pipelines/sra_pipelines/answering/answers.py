"""What is found for a question, and what is answered to it."""

from __future__ import annotations

import dataclasses
from typing import Any

from sra_pipelines.checks.abstention import SENTENCE, Abstention
from sra_pipelines.checks.calculations import Calculation
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import Support
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.values import Passage
from sra_rag.config import SRAConfig
from sra_rag.generation.paragraphs import lines
from sra_rag.generation.result import FoundEvidence, Generation, Timing, Usage

__all__ = ["Answer", "PassageEvidence", "Retrieval", "nothing_found", "passage_evidence"]


@dataclasses.dataclass(frozen=True, slots=True)
class Retrieval:
    """What the model is given for a question: the same for every setting of the attention.

    Parameters
    ----------
    question
        As asked.
    passages
        In the order in which they stand in the prompt.
    context
        The passages as one text, headings included.
    instruction
        What stands above them; by default that of the preset ``general``.
    """

    question: str
    passages: tuple[Passage, ...]
    context: str
    instruction: str = dataclasses.field(default_factory=lambda: load_preset("general").instruction)

    def passage_texts(self) -> list[str]:
        """Return each passage as it is written in the context, heading included."""
        return [format_passages([passage]) for passage in self.passages]

    def messages(self) -> list[dict[str, str]]:
        """Return the prompt: passages first, so that it can be read once for several questions and settings."""
        content = f"{self.instruction}\n\n{self.context}\n\nQuestion: {self.question}"
        return [{"role": "user", "content": content}]


@dataclasses.dataclass(frozen=True, slots=True)
class PassageEvidence:
    """How much the model's evidence heads looked at a passage while they read the question.

    Parameters
    ----------
    share
        Share of the attention that these heads give to all passages, in [0, 1]; the shares of an answer sum to 1.
    line
        The line of the passage that got the most attention a token.
    weighed
        Whether its keys were given more weight while the answer was written.
    """

    share: float
    line: str
    weighed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what it rests on.

    Parameters
    ----------
    question
        As asked.
    text
        The answer.
    citations
        Pages it rests on, best first, each with a quote that was verified to stand there; none where it abstains.
    passages
        What the model was given.
    generation
        Usage, seconds and settings.
    supported
        Which of its figures, dates, names and sentences stand in the passages.
    abstained
        Why it is no answer, None where it is one; see `sra_pipelines.checks.abstention`. Without a passage found the
        model is not asked.
    attention
        Where it was asked for: the share of the attention of the answer's tokens that fell on each of `passages`, a
        mean over layers, heads and tokens; the rest fell on instruction, question and the answer itself.
    calculation
        What code computed for the question, where the preset says so and every figure was found on a page.
    notes
        What the preset's checks found.
    evidence
        Where the settings weigh evidence: how much each of `passages` was looked at before the answer was written.
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

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        values = dataclasses.asdict(self)
        values["generation"] = self.generation.to_dict()
        if self.calculation is not None:
            values["calculation"] = self.calculation.to_dict()
        return values


def passage_evidence(found: Retrieval, evidence: FoundEvidence | None) -> tuple[PassageEvidence, ...] | None:
    """Say for each passage of a prompt how much it was looked at; None where nothing was looked for."""
    texts = found.passage_texts()
    if evidence is None or len(evidence.shares) != len(texts):
        return None
    parts = []
    for number, (text, share, best) in enumerate(zip(texts, evidence.shares, evidence.best_lines, strict=True)):
        spans = lines(text)
        first, last = spans[min(best, len(spans) - 1)]
        parts.append(PassageEvidence(share, text[first:last].strip(), number in evidence.chosen))
    return tuple(parts)


def nothing_found(question: str, sra: SRAConfig | None) -> Answer:
    """Return the answer where no passage was found: the model is not asked."""
    generation = Generation(SENTENCE, "stop", Usage(0, 0), Timing(0.0, 0.0), (), sra, 0)
    return Answer(question, SENTENCE, (), (), generation, abstained="nothing found")
