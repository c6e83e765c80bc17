"""Key-value retrieval: one of many pairs of UUIDs is asked for ("Lost in the Middle", arXiv 2307.03172)."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import uuid
from pathlib import Path
from typing import Any, ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import field_of, read_rows
from sra_rag.errors import ConfigError

__all__ = ["KeyValue"]

_PLACES = 5  # at which pairs are asked for in turn
_INSTRUCTION = "Extract the value that belongs to the key in the JSON object below. Answer with the value alone."


@dataclasses.dataclass(frozen=True, slots=True)
class KeyValue:
    """Look a value up by its key.

    Parameters
    ----------
    pairs
        How many pairs the object has, such as 75 or 140 (about 5,400 and 10,000 tokens).
    data
        A JSONL file of rows with ``ordered_kv_records``, ``key`` and ``value``; by default pairs are generated from the
        seed. With fewer `pairs` than a row holds, the asked one and its nearest neighbours are kept; with more, pairs
        of the other rows are added after those of the row, and the asked one is moved to five positions in turn.
    """

    name: ClassVar[str] = "key-value"
    pairs: int = 75
    data: Path | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ConfigError(f"pairs={self.pairs} is not allowed: it must be at least 1.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make examples: `count`, asked at five positions in turn, or as many as the file holds."""
        if self.data is None:
            return [self._made(number, seed) for number in range(count)]
        rows = read_rows(self.data)
        random.Random(f"{self.name} {seed}").shuffle(rows)
        return [self._read(number, rows) for number in range(min(count, len(rows)))]

    def _made(self, number: int, seed: int) -> Example:
        rng = random.Random(f"{self.name} {seed} {number}")
        records = [(_uuid(rng), _uuid(rng)) for _ in range(self.pairs)]
        at = round((number % _PLACES) / (_PLACES - 1) * (self.pairs - 1))
        return self._example(f"{self.pairs}-{seed}-{number}", records, at)

    def _read(self, number: int, rows: list[dict[str, Any]]) -> Example:
        row = rows[number]
        stored = field_of(row, "ordered_kv_records", self.data)
        key = str(field_of(row, "key", self.data))
        try:
            records = [(str(known), str(value)) for known, value in stored]
            at = [known for known, _ in records].index(key)
        except (TypeError, ValueError):
            raise ConfigError(
                f"{self.data}: 'ordered_kv_records' is a list of [key, value], and the 'key' {key!r} is one of them."
            ) from None
        if self.pairs > len(records):
            return self._example(f"{key}-{self.pairs}", *self._filled_up(number, records, at, rows))
        first = min(max(0, at - self.pairs // 2), max(0, len(records) - self.pairs))
        return self._example(f"{key}-{self.pairs}", records[first : first + self.pairs], at - first)

    def _filled_up(
        self, number: int, records: list[tuple[str, str]], at: int, rows: list[dict[str, Any]]
    ) -> tuple[list[tuple[str, str]], int]:
        """Add pairs of the rows that follow, and move the asked pair to its turn's position."""
        asked = records.pop(at)
        known = {asked[0], *(key for key, _ in records)}
        others = itertools.chain.from_iterable(
            field_of(row, "ordered_kv_records", self.data) for row in (*rows[number + 1 :], *rows[:number])
        )
        for key, value in others:
            if len(records) == self.pairs - 1:
                break
            if str(key) not in known:
                known.add(str(key))
                records.append((str(key), str(value)))
        else:
            if len(records) < self.pairs - 1:
                raise ConfigError(
                    f"{self.data}: pairs={self.pairs} is not allowed: all rows together have {len(records) + 1} "
                    "different keys. Use fewer pairs."
                )
        place = round((number % _PLACES) / (_PLACES - 1) * len(records))
        records.insert(place, asked)
        return records, place

    def _example(self, name: str, records: list[tuple[str, str]], at: int) -> Example:
        key, value = records[at]
        return Example(
            id=name,
            instruction=_INSTRUCTION,
            context=json.dumps(dict(records), indent=1, ensure_ascii=False),
            question=f'Key: "{key}"\nCorresponding value:',
            answers=(value,),
            gold=(json.dumps({key: value}, ensure_ascii=False)[1:-1],),
            features={"pairs": len(records), "position": at / max(1, len(records) - 1)},
        )


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
