"""Multi-document question answering: the gold passage among distractors, at a chosen position.

The set-up of "Lost in the Middle" (Liu et al., arXiv 2307.03172). Distractors are passages of other questions: any, or
those whose embeddings are nearest to the embedding of the question.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import answers_of, field_of, read_rows
from sra_rag.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MultiDocument"]

Distractors = Literal["any", "similar"]

_PLACES = 5  # positions of the gold passage, in turn
_INSTRUCTION = (
    "Answer the question from the passages below and from nothing else, with a few words. If the passages do not hold "
    "the answer, say that the documents do not say."
)


@dataclasses.dataclass(frozen=True, slots=True)
class MultiDocument:
    """Answer from one of several passages.

    Parameters
    ----------
    data
        A JSONL file (``.gz`` too) of rows with ``question``, ``answers`` (any one counts), ``title`` and ``text``, the
        gold passage.
    passages
        Number of passages in a prompt.
    position
        Position of the gold passage, 0 for the first; ``"random"`` for a position that `seed` chooses for each
        example; ``"each"`` for every question at five positions, one example for each, with the same distractors in the
        same order. By default examples take five positions in turn.
    gold
        False omits the gold passage: the right answer is that the documents do not contain it.
    skip
        Number of rows of the shuffled file that are skipped, to get other examples with the same seed.
    distractors
        Which passages of other questions are added: ``"any"``, or ``"similar"``, those nearest to the question by
        cosine similarity of their embeddings. A passage that contains an answer is never a distractor.
    embedding
        Name of the embedding model for ``"similar"``, as for `sra_pipelines.index.embedding.load_embedding`.
    """

    name: ClassVar[str] = "multi-document"
    data: Path | None = None
    passages: int = 10
    position: int | Literal["random", "each"] | None = None
    gold: bool = True
    skip: int = 0
    distractors: Distractors = "any"
    embedding: str = "embedded"

    def __post_init__(self) -> None:
        if self.data is None:
            raise ConfigError(
                "The task multi-document needs a file: multi-document:data=FILE.jsonl, with 'question', 'answers', "
                "'title' and 'text' in each row."
            )
        if self.passages < 1 or self.skip < 0:
            raise ConfigError("passages must be at least 1, and skip at least 0.")
        if self.position not in (None, "random", "each", *range(self.passages)):
            raise ConfigError(
                f"position={self.position} is not allowed: it is a number from 0 to {self.passages - 1}, or random, or "
                "each."
            )
        if self.position == "each" and not self.gold:
            raise ConfigError("position=each needs the gold passage. Leave gold=false or position=each out.")
        if self.distractors not in get_args(Distractors):
            raise ConfigError(
                f"distractors={self.distractors!r} is not allowed. Use one of {', '.join(get_args(Distractors))}."
            )

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples, or as many as there are rows."""
        if self.data is None:  # pragma: no cover - refused when it was made
            return []
        rows = read_rows(self.data)
        if len(rows) < self.passages:
            raise ConfigError(f"{self.data}: {len(rows)} rows are too few for {self.passages} passages a prompt.")
        if self.skip >= len(rows):
            raise ConfigError(f"{self.data}: skip={self.skip} leaves none of the {len(rows)} rows.")
        order = list(range(len(rows)))
        random.Random(f"{self.name} {seed}").shuffle(order)
        times = _PLACES if self.position == "each" else 1
        chosen = order[self.skip : self.skip + math.ceil(count / times)]
        similarities = self._similarities([rows[gold] for gold in chosen], rows)
        return [
            self._example(number, gold, rows, seed, similarities.get(number // times))
            for number, gold in enumerate([gold for gold in chosen for _ in range(times)][:count])
        ]

    def _example(
        self,
        number: int,
        gold: int,
        rows: Sequence[dict[str, Any]],
        seed: int,
        similarity: NDArray[np.float64] | None,
    ) -> Example:
        row = rows[gold]
        answers = answers_of(field_of(row, "answers", self.data))
        rng = random.Random(f"{self.name} {seed} {gold} {self.passages}")
        numbers = self._choose_distractors(gold, answers, rows, rng, similarity)
        at = self._gold_position(number, len(numbers), rng)
        if self.gold:
            numbers.insert(at, gold)
        chosen = [rows[number] for number in numbers]
        context = "\n\n".join(
            f"Passage {i} (Title: {field_of(p, 'title', self.data)})\n{field_of(p, 'text', self.data)}"
            for i, p in enumerate(chosen, start=1)
        )
        kind = "" if self.distractors == "any" else f"-{self.distractors}"
        last = len(chosen) - self.gold
        return Example(
            id=f"row{gold}-{len(chosen)}-{at if self.gold else 'absent'}-{seed}{kind}",
            instruction=_INSTRUCTION,
            context=context,
            question=f"Question: {field_of(row, 'question', self.data)}",
            answers=answers if self.gold else (),
            gold=(str(row["text"]),) if self.gold else (),
            features={"passages": len(chosen)} | ({"position": at / max(1, last)} if self.gold else {}),
            passage_scores=() if similarity is None else tuple(float(similarity[number]) for number in numbers),
        )

    def _choose_distractors(
        self,
        gold: int,
        answers: Sequence[str],
        rows: Sequence[dict[str, Any]],
        rng: random.Random,
        similarity: NDArray[np.float64] | None,
    ) -> list[int]:
        """Return the rows of passages of other questions, in random order."""
        # A passage that contains an answer too would make the position meaningless.
        wanted = [answer.lower() for answer in answers]
        texts = [str(field_of(other, "text", self.data)).lower() for other in rows]
        others = [i for i, text in enumerate(texts) if i != gold and not any(w in text for w in wanted)]
        count = min(len(others), self.passages - self.gold)
        if similarity is not None:
            others = sorted(others, key=lambda i: -similarity[i])[:count]
        return rng.sample(others, count)

    def _gold_position(self, number: int, last: int, rng: random.Random) -> int:
        if self.position == "random":
            return rng.randint(0, last)
        if self.position in (None, "each"):
            return round((number % _PLACES) / (_PLACES - 1) * last)
        return min(int(self.position), last)

    def _similarities(
        self, questions: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
    ) -> dict[int, NDArray[np.float64]]:
        """Return the cosine similarity of each question with every passage, by the number of the question.

        Nothing is embedded, and nothing returned, unless `distractors` is ``"similar"``.
        """
        if self.distractors != "similar":
            return {}
        titles, texts = ([str(field_of(row, name, self.data)) for row in rows] for name in ("title", "text"))
        passages = _embed_passages(
            self.embedding, tuple(f"{title}\n{text}" for title, text in zip(titles, texts, strict=True))
        )
        from sra_pipelines.index.embedding import load_embedding

        model = load_embedding(self.embedding)
        asked = [str(field_of(row, "question", self.data)) for row in questions]
        return {
            number: passages @ _unit_rows([model.get_query_embedding(text)])[0] for number, text in enumerate(asked)
        }


@lru_cache(maxsize=1)
def _embed_passages(embedding: str, texts: tuple[str, ...]) -> NDArray[np.float64]:
    """Return one unit vector per text; cached, because tasks of one run often differ only in the position."""
    from sra_pipelines.index.embedding import load_embedding

    return _unit_rows(load_embedding(embedding).get_text_embedding_batch(list(texts)))


def _unit_rows(vectors: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    import numpy as np

    rows = np.asarray(vectors, dtype=float)
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
