"""Measurements of a calibration: stored on disk one by one, limited in time, and continued by a later run."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sra_evaluations.examples import Example
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.records import Records, write_examples, write_whole
from sra_evaluations.runs.compare import describe_run
from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.named_settings import Setting
from sra_evaluations.runs.run_task import Stop, run_task
from sra_rag.config import SRAConfig
from sra_rag.generation.engine import Engine
from sra_rag.generation.sensitivity import alpha_gradient

__all__ = ["OFF", "Deadline", "Work"]

OFF = "off"
_SEED_SETTING = SRAConfig(alpha=0.1, policy="constant")  # where gradients are taken


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """Ends work at a time, or when the user stops it.

    Parameters
    ----------
    at
        On the clock of `time.monotonic`, seconds.
    stop
        The user's own.
    """

    at: float
    stop: Stop | None = None

    def is_set(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at or (self.stop is not None and self.stop.is_set())


class Work:
    """What was measured so far.

    Parameters
    ----------
    engine
        The model.
    folder
        Path of the file.
    questions
        Hash of everything that may be asked, so that measurements of other documents are never mixed with these.
    seed
        Of the examples.
    max_new_tokens
        Maximum number of tokens of an answer.
    on_progress
        Called with the name of a step; what it returns is called with (done, total).
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        questions: str,
        seed: int,
        max_new_tokens: int,
        on_progress: Callable[[str], Callable[[int, int], None]] | None = None,
    ) -> None:
        self.engine = engine
        self.folder = folder
        self._start = on_progress or (lambda _: lambda done, total: None)
        self._max_new_tokens = max_new_tokens
        run = describe_run(engine, seed, max_new_tokens) | {"questions": questions}
        self._records = Records(folder, run | {"settings": {OFF: None}, "tasks": {}})

    @property
    def comparison(self) -> Comparison:
        """What was measured, to be compared."""
        return Comparison(self._records.manifest, self._records.records)

    def measure(
        self,
        task: str,
        examples: Sequence[Example],
        settings: Mapping[str, SRAConfig | None],
        deadline: Deadline,
        *,
        doing: str,
        generate: bool = False,
        likelihood: bool = True,
    ) -> None:
        """Measure off and `settings` on examples, as far as the time goes; the same examples for all."""
        self._records.add_settings({name: None if sra is None else sra.to_dict() for name, sra in settings.items()})
        write_examples(self.folder, task, examples)
        named = [Setting(name, sra) for name, sra in {OFF: None, **settings}.items()]
        measures = Measures(
            generate=generate, attention=False, max_new_tokens=self._max_new_tokens, timed=0, likelihood=likelihood
        )
        run_task(
            self.engine, task, examples, named, self._records, measures, on_progress=self._start(doing), stop=deadline
        )

    def gradients(self, examples: Sequence[Example], deadline: Deadline) -> list[list[list[float]]]:
        """Return the gradient of each example by layer and head, as far as the time goes."""
        path = self.folder / "gradients.json"
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        advance = self._start("which heads matter")
        for number, example in enumerate(examples):
            key = example.sha256()
            if key not in known:
                if deadline.is_set():
                    break
                _, gradient = alpha_gradient(
                    self.engine, example.prompt(), example.gold_text(), context=example.context, sra=_SEED_SETTING
                )
                if not torch.isfinite(gradient).all():
                    continue
                known[key] = [[round(value, 5) for value in layer] for layer in gradient.tolist()]
                write_whole(path, json.dumps(known))
            advance(number + 1, len(examples))
        return [known[key] for key in (example.sha256() for example in examples) if key in known]
