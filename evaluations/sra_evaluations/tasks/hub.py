"""Published data sets of the Hugging Face hub, through the package ``datasets``; needs the extra ``hub``."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any, ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.hub_rows import SOURCES, Source
from sra_rag.errors import ConfigError, first_line, require_extra

__all__ = ["HubQuestions"]


@dataclasses.dataclass(frozen=True, slots=True)
class HubQuestions:
    """Questions of a published data set, each with the passages that come with it.

    Parameters
    ----------
    dataset
        Which: ``squad``, ``squad_v2``, ``hotpot_qa`` or ``longbench_...``; on the command line
        ``hub:dataset=squad``.
    split
        By default the one that is for testing.
    subset
        A configuration of the data set; by default that of `SOURCES`, and none where `data` is given.
    data
        A folder with the files of the data set (such as Parquet), as on the hub; nothing is downloaded then.
    tokens
        Examples with longer contexts are omitted; None for no limit.
    """

    name: ClassVar[str] = "hub"
    dataset: str = "squad"
    split: str = ""
    subset: str = ""
    data: Path | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.dataset not in SOURCES:
            raise ConfigError(f"dataset={self.dataset!r} is not allowed. Use one of: {', '.join(SOURCES)}.")
        if self.tokens is not None and self.tokens < 1:
            raise ConfigError(f"tokens={self.tokens} is not allowed: it must be at least 1.")
        require_extra("The task hub", "hub", "datasets")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Choose `count` rows by `seed`, in the order of the data set.

        Raises
        ------
        ConfigError
            If the data set cannot be loaded, lacks a column, or no row is short enough.
        """
        source = SOURCES[self.dataset]
        rows = self._load(source)
        lacking = [name for name in source.columns if name not in rows.column_names]
        if lacking:
            raise ConfigError(
                f"{self.data or source.path}: the rows lack {', '.join(lacking)}; they have "
                f"{', '.join(rows.column_names)}. Give the files of {source.path}."
            )
        order = list(range(len(rows)))
        random.Random(f"{self.name} {self.dataset} {seed}").shuffle(order)
        chosen: dict[int, Example] = {}
        for at in order:
            if len(chosen) == count:
                break
            example = source.read(rows[at])
            if self.tokens is None or count_tokens(example.context) <= self.tokens:
                chosen[at] = example
        if not chosen:
            raise ConfigError(f"{self.dataset}: no context has {self.tokens} tokens or fewer. Raise tokens.")
        return [chosen[at] for at in sorted(chosen)]

    def _load(self, source: Source) -> Any:
        import datasets

        path = source.path if self.data is None else str(self.data)
        subset = self.subset or (source.subset if self.data is None else None)
        if self.data is not None and not self.data.is_dir():
            raise ConfigError(f"data={self.data}: there is no such folder. Give one with the files of {source.path}.")
        try:
            return datasets.load_dataset(path, subset, split=self.split or source.split)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The data set {path!r} could not be loaded: {first_line(error)}. Go online once, or give its "
                f"files: hub:dataset={self.dataset},data=FOLDER."
            ) from error
