"""Run every setting on every example: the same prompts, prefills shared where settings leave the context alone.

Greedy decoding, so that only the settings differ. For each example the settings that do not touch its context come
first: they read it once between them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from sra_evaluations.examples import Example
from sra_evaluations.in_flight import InFlight
from sra_evaluations.measured_engine import (
    MeasuredEngine,
    gold_likelihood,
    nothing_shared,
    tells_likelihood,
    watched_memory,
)
from sra_evaluations.metrics import score
from sra_evaluations.records import Records, example_name
from sra_evaluations.settings import Setting
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ContextOverflowError
from sra_rag.generation.request import Cancellation

__all__ = ["Measures", "Scorer", "Stop", "run_task"]

Scorer = Callable[[str, Example], dict[str, float]]


class Stop(Protocol):
    """Says when to end, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether it is time."""
        ...


Advance = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """What is measured of each example.

    Parameters
    ----------
    generate
        Answers are generated and scored.
    likelihood
        The likelihood of the gold answer is measured: one forward pass more. Not on a server that takes no tokens.
    attention
        So are the share of its attention on the gold text, and the entropy by layer and head; not on a server.
    max_new_tokens
        Of an answer.
    timed
        So many examples of each task are run without sharing prefills, and their seconds and memory compared.
    scorers
        More metrics of an answer, such as an NLI model's; see `sra_evaluations.metrics`.
    """

    generate: bool = True
    likelihood: bool = True
    attention: bool = True
    max_new_tokens: int = 48
    timed: int = 3
    scorers: tuple[Scorer, ...] = ()


def run_task(
    engine: MeasuredEngine,
    task: str,
    examples: Sequence[Example],
    settings: Sequence[Setting],
    records: Records,
    measures: Measures,
    *,
    on_progress: Advance | None = None,
    stop: Stop | None = None,
) -> list[str]:
    """Answer what `records` does not hold yet.

    Parameters
    ----------
    engine
        The model. On a server several answers are under way at once, but for those that are timed.
    task
        What records call the task.
    examples, settings
        What to run.
    records
        Where results go, one by one.
    measures
        What to measure.
    on_progress
        Told of (answers done, in all), those known before included.
    stop
        Ends the run behind the present answers when it is set.

    Returns
    -------
    skipped
        Ids of examples that are longer than the model's window.
    """
    ordered = sorted(settings, key=lambda setting: 0 if _leaves_context(setting) else 1)
    total, done = len(examples) * len(settings), 0
    skipped: list[str] = []

    def advance() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    def take(job: _Job, result: Callable[[], dict[str, Any]]) -> None:
        try:
            found = result()
        except ContextOverflowError:
            if job.example.id not in skipped:
                skipped.append(job.example.id)
            return
        names = dict(zip(("task", "example", "setting"), job.key, strict=True))
        records.add(names | {"features": dict(job.example.features), "timed": job.timed} | found)
        advance()

    with InFlight(engine.in_flight, take) as under_way:
        for number, example in enumerate(examples):
            for setting in ordered:
                if stop is not None and stop.is_set():
                    return skipped
                key = task, example_name(example), setting.name
                if key in records or example.id in skipped:
                    advance()
                    continue
                timed = number < measures.timed and measures.generate and not example.plain
                job = _Job(key, example, timed)
                if timed:
                    with nothing_shared(engine) as apart:
                        under_way.alone(job, partial(_measure, apart, example, setting, measures, under_way.cancel))
                else:
                    under_way.begin(job, partial(_measure, engine, example, setting, measures, under_way.cancel))
    return skipped


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    key: tuple[str, str, str]
    example: Example
    timed: bool


def _leaves_context(setting: Setting) -> bool:
    return setting.sra is None or not setting.sra.enabled or setting.sra.rows != "all"


def _measure(
    engine: MeasuredEngine, example: Example, setting: Setting, measures: Measures, cancel: Cancellation
) -> dict[str, Any]:
    prompt = example.prompt()
    context = None if example.plain else example.context
    found: dict[str, Any] = {"scores": {}}
    # Generation first: the likelihood then takes its whole prefill, and timed examples time it alone.
    if measures.generate and not example.plain:
        with watched_memory(engine) as peak:
            said = engine.generate(
                prompt, context=context, sra=setting.sra, max_new_tokens=measures.max_new_tokens, temperature=0.0,
                cancel=cancel,
            )  # fmt: skip
        text = said.text.strip()
        found |= {
            "answer": text,
            "finish_reason": said.finish_reason,
            "usage": dataclasses.asdict(said.usage),
            "seconds": dataclasses.asdict(said.timing),
            "peak_bytes": peak(),
        }
        for scorer in (score, *measures.scorers):
            found["scores"] |= scorer(text, example)
    gold = example.answers[0] if example.plain else example.gold_text()
    if measures.likelihood and gold and tells_likelihood(engine):
        seen = measures.attention and engine.sees_attention and not example.plain
        shares = _shares(engine, example) if seen else None
        likelihood = gold_likelihood(
            engine, prompt, gold, context=context, sra=setting.sra, shares=shares, cancel=cancel
        )  # fmt: skip
        found["scores"] |= {"gold_nats": likelihood.nats, "gold_nats_per_token": likelihood.nats_per_token}
        found["gold_tokens"] = len(likelihood.log_probabilities)
        found["likelihood_seconds"] = likelihood.seconds
        mean = None if shares is None else shares.mean()
        if shares is not None and mean is not None:
            if example.gold:
                found["scores"]["gold_attention"] = float(mean.sum())
            found["entropy"] = [[round(head, 4) for head in layer] for layer in shares.entropy_by_head().tolist()]
            found["keys"] = likelihood.prompt_tokens
    found["scores"] = {name: value for name, value in found["scores"].items() if not math.isnan(value)}
    return found


def _shares(engine: MeasuredEngine, example: Example) -> AttentionShares:
    whole = engine.encode(example.prompt(), context=example.context)
    spans = [
        tuple(engine.encode(example.prompt(), context=part).context_length if part else 0 for part in (before, with_it))
        for before, with_it in example.gold_spans()
    ]
    return AttentionShares([(first, last) for first, last in spans], len(whole.token_ids))
