"""How a rival changes the prompt: another order, fewer passages, a repeated passage, or another weighted passage."""

from __future__ import annotations

import dataclasses

from sra_evaluations.examples import Example
from sra_evaluations.rivals.passages import Parts, parts_of, ranking
from sra_evaluations.rivals.rival import Rival
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.prompts import Prompt

__all__ = ["Asked", "asked"]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """The question to a model under a rival.

    Parameters
    ----------
    example
        Example with the prompt of the rival. Answers are scored with the original example.
    passages
        Passages of the context; None for its paragraphs.
    weighed
        Index of the passage that gets evidence weights; None for the passage that is chosen as evidence.
    scores
        How well each passage fits the question by a search; None if not known.
    """

    example: Example
    passages: list[str] | None
    weighed: int | None = None
    scores: tuple[float, ...] | None = None

    def encoded(self, engine: EngineProtocol) -> Prompt:
        """Return the prompt for an engine; it is encoded if a certain passage gets evidence weights."""
        if self.weighed is None:
            return self.example.prompt()
        prompt = engine.encode(self.example.prompt(), context=self.example.context, passages=self.passages)
        return dataclasses.replace(prompt, candidates=(self.weighed,))


def asked(example: Example, rival: Rival | None) -> Asked:
    """Return the question of an example under a rival; None for no rival.

    An example whose context has no passages, such as a plain text, is not changed. Neither is an example without the
    passage with the answer if the rival uses that passage.
    """
    unchanged = Asked(example, example.passage_texts())
    if rival is None and example.passage_scores:
        texts = unchanged.passages or list(parts_of(example).texts)
        return Asked(
            example, texts, scores=example.passage_scores if len(texts) == len(example.passage_scores) else None
        )
    if rival is None or rival.name == "context_aware" or example.plain:
        return unchanged
    parts = parts_of(example)
    order = _gold_first(example, parts) if rival.name.endswith("_gold") else ranking(example, parts)
    if len(parts.texts) < 2 or not order:
        return unchanged
    if rival.emphasizes:
        return Asked(example, list(parts.texts), order[0])
    if rival.name == "replay":
        question = f"{parts.texts[order[0]]}\n\n{example.question}"
        return Asked(dataclasses.replace(example, question=question), unchanged.passages)
    return _arranged(example, parts, {"best_first": order, "best_last": order[::-1]}.get(rival.name, order[:1]))


def _arranged(example: Example, parts: Parts, order: list[int]) -> Asked:
    context = parts.joined(order)
    changed = dataclasses.replace(
        example,
        context=context,
        passages=tuple(example.passages[at] for at in order) if example.passages else (),
        passage_scores=(),
        gold=tuple(text for text in example.gold if text in context),
    )
    return Asked(changed, changed.passage_texts())


def _gold_first(example: Example, parts: Parts) -> list[int]:
    """Return the index of the first passage that contains a gold text or is part of one, or nothing."""
    gold = [at for at, text in enumerate(parts.texts) if any(one in text or text in one for one in example.gold)]
    return gold[:1]
