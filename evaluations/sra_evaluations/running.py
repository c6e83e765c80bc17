"""Run every setting on every example: the same prompts, prefills shared where settings leave the context alone.

Greedy decoding, so that only the settings differ. For each example the settings that do not touch its context come
first: they read it once between them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sra_evaluations.examples import Example
from sra_evaluations.memory import peak_memory
from sra_evaluations.metrics import score
from sra_evaluations.records import Record, Records, example_name
from sra_evaluations.settings import Setting
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ContextOverflowError
from sra_rag.generation.engine import Engine
from sra_rag.generation.likelihood import answer_likelihood

__all__ = ["Advance", "Measures", "Scorer", "Stop", "answer", "in_sharing_order", "run_task"]

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
        The likelihood of the gold answer is measured: one forward pass more.
    attention
        So are the share of its attention on the gold text, and the entropy by layer and head.
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
    engine: Engine,
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
        The model.
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
        Ends the run behind the present answer when it is set.

    Returns
    -------
    skipped
        Ids of examples that are longer than the model's window.
    """
    ordered = in_sharing_order(settings)
    total, done = len(examples) * len(settings), 0
    skipped: list[str] = []
    for number, example in enumerate(examples):
        name = example_name(example)
        for setting in ordered:
            if stop is not None and stop.is_set():
                return skipped
            key = task, name, setting.name
            if key not in records and example.id not in skipped:
                timed = number < measures.timed and measures.generate and not example.plain
                try:
                    records.add(answer(engine, task, example, setting, measures, timed=timed))
                except ContextOverflowError:
                    skipped.append(example.id)
                    continue
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    return skipped


def in_sharing_order(settings: Sequence[Setting]) -> list[Setting]:
    """Put those first that leave an example's context alone: they read it once between them."""
    return sorted(settings, key=lambda setting: 0 if _leaves_context(setting) else 1)


def answer(
    engine: Engine, task: str, example: Example, setting: Setting, measures: Measures, *, timed: bool = False
) -> Record:
    """Run one setting on one example.

    Parameters
    ----------
    engine
        The model.
    task
        What records call the task.
    example, setting
        What to run.
    measures
        What to measure.
    timed
        Share no prefill with what ran before, so that seconds and memory say something.

    Raises
    ------
    ContextOverflowError
        If the example is longer than the model's window.
    """
    if timed:
        engine.prefixes.clear()
    try:
        found = _measure(engine, example, setting, measures)
    finally:
        if timed:
            engine.prefixes.clear()
    names = {"task": task, "example": example_name(example), "setting": setting.name}
    return names | {"features": dict(example.features), "timed": timed} | found


def _leaves_context(setting: Setting) -> bool:
    return setting.sra is None or not setting.sra.enabled or setting.sra.rows != "all"


def _measure(engine: Engine, example: Example, setting: Setting, measures: Measures) -> dict[str, Any]:
    prompt = example.prompt()
    context = None if example.plain else example.context
    found: dict[str, Any] = {"scores": {}}
    # Generation first: the likelihood then takes its whole prefill, and timed examples time it alone.
    if measures.generate and not example.plain:
        with peak_memory(engine.loaded.device) as peak:
            said = engine.generate(
                prompt, context=context, sra=setting.sra, max_new_tokens=measures.max_new_tokens, temperature=0.0
            )
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
    if measures.likelihood and gold:
        shares = _shares(engine, example) if measures.attention and not example.plain else None
        likelihood = answer_likelihood(engine, prompt, gold, context=context, sra=setting.sra, shares=shares)
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


def _shares(engine: Engine, example: Example) -> AttentionShares:
    whole = engine.encode(example.prompt(), context=example.context)
    spans = [
        tuple(engine.encode(example.prompt(), context=part).context_length if part else 0 for part in (before, with_it))
        for before, with_it in example.gold_spans()
    ]
    return AttentionShares([(first, last) for first, last in spans], len(whole.token_ids))
