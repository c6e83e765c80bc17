"""Run every setting on every example: the same prompts, prefills shared where settings leave the context alone.

Greedy decoding, so that only the settings differ. Several examples are answered at once, all with one setting. The
settings that do not touch the contexts come first: they read them once between them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from sra_evaluations.examples import Example
from sra_evaluations.metrics import score
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import Records, example_name
from sra_evaluations.rivals.changed_prompts import asked
from sra_evaluations.rivals.context_aware import answer_with_context, likelihood_with_context
from sra_evaluations.runs.answer_spans import answer_spans
from sra_evaluations.runs.at_once import at_once
from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.named_settings import Setting
from sra_evaluations.runs.peak_memory import peak_memory
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ContextOverflowError
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["Advance", "Stop", "answers", "in_sharing_order", "run_task"]

_SCORING = threading.Lock()  # scorers have their own models, which may not be thread-safe


class Stop(Protocol):
    """Returns whether to stop, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


Advance = Callable[[int, int], None]


def run_task(
    engine: EngineProtocol,
    task: str,
    examples: Sequence[Example],
    settings: Sequence[Setting],
    records: Records,
    measures: Measures,
    *,
    on_progress: Advance | None = None,
    stop: Stop | None = None,
) -> list[str]:
    """Run every setting on every example whose record `records` does not have yet.

    Parameters
    ----------
    engine
        The model.
    task
        Name of the task in records.
    examples, settings
        What to run.
    records
        Receives the results one by one.
    measures
        What to measure.
    on_progress
        Called with (answers done, total), answers of earlier runs included.
    stop
        Stops the run after the current answer when it is set.

    Returns
    -------
    skipped
        Ids of examples that are longer than the model's window.
    """
    ordered = in_sharing_order(settings)
    total, done = len(examples) * len(settings), 0
    skipped: list[str] = []
    if on_progress is not None:
        on_progress(done, total)
    for group, timed in _groups(examples, measures, engine.in_flight):
        # Their prefills are wanted again: for the likelihood, and by the next setting that leaves the context alone.
        with engine.room_for(len(group)):
            for setting in ordered:
                if stop is not None and stop.is_set():
                    return skipped
                keys = [(task, example_name(example), setting.name) for example in group]
                left = [e for e, key in zip(group, keys, strict=True) if key not in records and e.id not in skipped]
                for example, record in answers(engine, task, left, setting, measures, timed=timed):
                    if record is None:
                        skipped.append(example.id)
                    else:
                        records.add(record)
                done += len(group)
                if on_progress is not None:
                    on_progress(done, total)
    return skipped


def _groups(
    examples: Sequence[Example], measures: Measures, in_flight: int
) -> Iterator[tuple[Sequence[Example], bool]]:
    """Yield examples that are answered at once, all plain or none, and whether they are timed, which is done alone."""
    timed = min(measures.timed, len(examples)) if measures.generate else 0
    # Likelihoods are measured one by one, but for a server.
    together = measures.batch_size if measures.generate else min(measures.batch_size, in_flight)
    for example in examples[:timed]:
        yield [example], not example.plain
    for _, alike in itertools.groupby(examples[timed:], lambda example: example.plain):
        rest = list(alike)
        for start in range(0, len(rest), together):
            yield rest[start : start + together], False


def in_sharing_order(settings: Sequence[Setting]) -> list[Setting]:
    """Put those first that leave an example's context alone: they read it once between them."""
    return sorted(settings, key=lambda setting: 0 if setting.leaves_context else 1)


def answers(
    engine: EngineProtocol,
    task: str,
    examples: Sequence[Example],
    setting: Setting,
    measures: Measures,
    *,
    timed: bool = False,
) -> Iterator[tuple[Example, Record | None]]:
    """Run one setting on examples, all at once, and yield each with its record, None where it is too long.

    Parameters
    ----------
    engine
        The model.
    task
        Name of the task in records.
    examples
        What is asked; all plain or none.
    setting, measures
        How, and what is measured.
    timed
        Whether no prefill is shared with what runs before or after, so that seconds and memory can be compared.
    """
    scope: AbstractContextManager[EngineProtocol] = engine.isolated() if timed else nullcontext(engine)
    with scope as one_engine:
        generated = _generate(one_engine, examples, setting, measures)

        def measure(pair: tuple[Example, _Generated | None], cancel: Cancellation) -> tuple[Example, Record | None]:
            example, answer = pair
            try:
                scores, of_answer = _scores_of_answer(one_engine, example, measures, answer)
                more_scores, of_likelihood = _likelihood(one_engine, example, setting, measures, cancel)
            except ContextOverflowError:
                return example, None
            scores = {name: value for name, value in (scores | more_scores).items() if not math.isnan(value)}
            record = Record(task, example_name(example), setting.name, scores, dict(example.features), timed)
            return example, dataclasses.replace(record, **of_answer, **of_likelihood)

        yield from at_once(one_engine, measure, list(zip(examples, generated, strict=True)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Generated:
    """An answer, the most memory in use while it was generated, and how many were generated with it."""

    generation: Generation
    peak_bytes: int | None
    answered_at_once: int


def _generate(
    engine: EngineProtocol, examples: Sequence[Example], setting: Setting, measures: Measures
) -> list[_Generated | None]:
    """Generate the answers; None for plain texts and for what does not fit the window."""
    if not examples or not measures.generate or examples[0].plain:
        return [None] * len(examples)
    given = [asked(example, setting.rival) for example in examples]
    with peak_memory(None if engine.loaded is None else engine.loaded.device) as peak:
        try:
            if (strength := _decoding_strength(setting)) is not None:
                generations = [
                    answer_with_context(engine, one.example, strength, max_new_tokens=measures.max_new_tokens)
                    for one in given
                ]
            else:
                generations = engine.generate_batch(
                    [one.encoded(engine) for one in given],
                    contexts=[one.example.context for one in given],
                    passage_lists=[one.passages for one in given],
                    score_lists=[one.scores for one in given],
                    sra=setting.sra,
                    max_new_tokens=measures.max_new_tokens,
                    temperature=0.0,
                )
        except ContextOverflowError:
            if len(examples) == 1:
                return [None]
            return [answer for example in examples for answer in _generate(engine, [example], setting, measures)]
        peak_bytes = peak()
    return [_Generated(generation, peak_bytes, len(examples)) for generation in generations]


def _decoding_strength(setting: Setting) -> float | None:
    """Return the strength of context-aware decoding; None with ordinary decoding."""
    return None if setting.rival is None else setting.rival.strength


def _scores_of_answer(
    engine: EngineProtocol, example: Example, measures: Measures, answer: _Generated | None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the scores of a generated answer, and the fields of its record."""
    if not measures.generate or example.plain:
        return {}, {}
    if answer is None:
        length = len(engine.encode(example.prompt()).token_ids)
        raise ContextOverflowError(length, measures.max_new_tokens, engine.context_window)
    generation = answer.generation
    text = generation.text.strip()
    scores: dict[str, float] = {}
    with _SCORING:
        for scorer in (score, *measures.scorers):
            scores |= scorer(text, example)
    scores["cut_off"] = float(generation.finish_reason == "length")
    return scores, {
        "answer": text,
        "finish_reason": generation.finish_reason,
        "usage": generation.usage,
        "seconds": generation.timing,
        "peak_bytes": answer.peak_bytes,
        "answered_at_once": answer.answered_at_once,
    }


def _likelihood(
    engine: EngineProtocol, example: Example, setting: Setting, measures: Measures, cancel: Cancellation
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the scores of the gold answer's likelihood and attention, and the fields of its record."""
    gold = example.answers[0] if example.plain else example.gold_text()
    if not (measures.likelihood and gold and engine.measures_likelihood):
        return {}, {}
    given = asked(example, setting.rival)
    strength = None if example.plain else _decoding_strength(setting)
    seen = measures.attention and engine.sees_attention and not example.plain and strength is None
    spans = answer_spans(engine, given) if seen else None
    shares = None if spans is None else AttentionShares(spans.pieces, spans.prompt_length)
    if strength is not None:
        likelihood = likelihood_with_context(engine, given.example, gold, strength)
    else:
        likelihood = engine.answer_likelihood(
            given.encoded(engine),
            gold,
            context=None if example.plain else given.example.context,
            passages=given.passages,
            passage_scores=given.scores,
            sra=setting.sra,
            shares=shares,
            cancel=cancel,
        )
    scores = {"gold_nats": likelihood.nats, "gold_nats_per_token": likelihood.nats_per_token}
    fields: dict[str, Any] = {
        "gold_tokens": len(likelihood.log_probabilities),
        "likelihood_seconds": likelihood.seconds,
    }
    mean = None if shares is None else shares.mean()
    if spans is not None and shares is not None and mean is not None:
        if given.example.gold:
            scores["gold_attention"] = spans.on_gold(mean)
        if spans.passages:
            fields["passage_attention"] = tuple(round(share, 5) for share in spans.on_passages(mean))
        entropy = shares.entropy_by_head().tolist()
        fields["entropy"] = tuple(tuple(round(head, 4) for head in layer) for layer in entropy)
        fields["keys"] = likelihood.prompt_tokens
    return scores, fields
