"""How a rival changes what is asked: another order, fewer passages, one repeated, or the passage that is weighed."""

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
    """What a model is asked.

    Parameters
    ----------
    example
        The prompt. Answers are scored with the original example.
    passages
        The passages of the context; None for its paragraphs.
    weighed
        Index of the passage that evidence weights are put on; None for the one that the heads look at.
    """

    example: Example
    passages: list[str] | None
    weighed: int | None = None

    def encoded(self, engine: EngineProtocol) -> Prompt:
        """Return the prompt as an engine is given it: encoded where a passage is to be weighed."""
        if self.weighed is None:
            return self.example.prompt()
        prompt = engine.encode(self.example.prompt(), context=self.example.context, passages=self.passages)
        return dataclasses.replace(prompt, candidates=(self.weighed,))


def asked(example: Example, rival: Rival | None) -> Asked:
    """Return what an example asks of a model under a rival; None is no rival.

    An example without a context in passages, such as a plain text, is asked as it is, and so is one that leaves the
    passage with the answer out where the rival is to know it.
    """
    unchanged = Asked(example, example.passage_texts())
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
        gold=tuple(text for text in example.gold if text in context),
    )
    return Asked(changed, changed.passage_texts())


def _gold_first(example: Example, parts: Parts) -> list[int]:
    """Return the first passage that holds a gold text, or is part of one, if there is any."""
    gold = [at for at, text in enumerate(parts.texts) if any(one in text or text in one for one in example.gold)]
    return gold[:1]
