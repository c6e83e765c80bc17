"""Examples that a setting changed for better and for worse, side by side, with the passage and the attention on it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from sra_evaluations.report.plots import draw_parts
from sra_evaluations.report.task_results import Examples
from sra_evaluations.report.wording import Metric
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.record import Record
from sra_evaluations.results.statistics import Estimate

__all__ = ["Answer", "Change", "Changes", "find_changes"]

_MOST = 20  # of each direction
_CLIPPED = 4000  # characters of a passage
_TITLE = 90  # characters of plain text that identify an example


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The answer under one setting.

    Parameters
    ----------
    setting, text
        The answer with the gold answer marked; None if none was generated.
    score
        In the headline metric, in words.
    attention
        Share on the gold passage, empty if it was not measured.
    cut
        Whether the answer reached the limit of tokens.
    """

    setting: str
    text: Markup | None
    score: str
    attention: str
    cut: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """An example before and after.

    Parameters
    ----------
    name
        Its name in records.
    question, gold
        The question and the right answer. For plain text: its beginning and its continuation.
    passages
        Gold texts of the context, the answer in them marked; plain text as far as it was given.
    plain
        Whether it is plain text, without a question.
    known
        Whether the content of the example is available.
    answers
        The answers without and with the setting.
    attention
        Drawing of the attention of the gold answer on each passage, without and with the setting; None if it was not
        measured.
    """

    name: str
    question: str
    gold: str
    passages: Sequence[Markup]
    plain: bool
    known: bool
    answers: tuple[Answer, Answer]
    attention: Markup | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """Examples that changed in one direction: those shown, and their total number."""

    shown: Sequence[Change]
    total: int


def find_changes(
    comparison: Comparison,
    task: str,
    setting: str,
    metric: Metric,
    examples: Examples,
    series: Mapping[str, int],
) -> tuple[Changes, Changes]:
    """Return the examples that became better and those that became worse, the greatest changes first.

    The number in `series` of a setting is its colour in drawings.
    """
    better, worse = (
        Changes(
            [
                dataclasses.replace(
                    _change(comparison, task, setting, name, metric, examples),
                    attention=_attention(comparison, task, setting, name, series),
                )
                for name in names[:_MOST]
            ],
            len(names),
        )
        for names in comparison.changed(task, setting)
    )
    return better, worse


def _attention(comparison: Comparison, task: str, setting: str, name: str, series: Mapping[str, int]) -> Markup | None:
    """Draw the attention of the gold answer on each passage, without and with a setting."""
    both = {s: comparison.record(task, s, name).passage_attention for s in (comparison.baseline, setting)}
    points = {
        series[s]: [(float(place), Estimate(share, math.nan, math.nan, 1)) for place, share in enumerate(shares)]
        for s, shares in both.items()
        if shares
    }
    if len(points) < 2:
        return None
    most = max(len(found) for found in points.values())
    return draw_parts(
        [f"{place + 1}" for place in range(most)],
        points,
        x="passage",
        y="share of the attention",
        connected=False,
        share=True,
        # With the names, so that no two drawings of a page are the same text: their parts would have the same ids.
        alt=f"Attention of the gold answer on each passage, with {comparison.baseline} and with {setting}: "
        f"example {name} of {task}.",
    )


def _change(comparison: Comparison, task: str, setting: str, name: str, metric: Metric, examples: Examples) -> Change:
    content = examples.get((task, name))
    answers = tuple(content["answers"]) if content else ()
    plain = bool(content and content["plain"])
    before, after = (
        _answer(s, comparison.record(task, s, name), metric, answers) for s in (comparison.baseline, setting)
    )
    if content is None:
        return Change(name, "", "", (), False, False, (before, after))
    if plain:
        title, given, goes_on = f"{content['context'][:_TITLE]}…", escape(_clipped(content["context"])), answers[0]
        return Change(name, title, _clipped(goes_on.strip()), (given,), True, True, (before, after))
    question = content["question"].removeprefix("Question: ")
    gold = (", " if content["all_of"] else " / ").join(answers) or "The documents do not say."
    passages = tuple(_marked(_clipped(text), answers) for text in content["gold"])
    return Change(name, question, _clipped(gold), passages, False, True, (before, after))


def _answer(setting: str, record: Record, metric: Metric, gold: Sequence[str]) -> Answer:
    attention = record.scores.get("gold_attention")
    said = record.answer
    return Answer(
        setting=setting,
        text=None if said is None else _marked(said, gold),
        score=_score(metric, record.scores[metric.name]),
        attention="" if attention is None else f"{attention:.2%}",
        cut=record.finish_reason == "length",
    )


def _score(metric: Metric, value: float) -> str:
    if metric.name == "right" and value in (0, 1):
        return "right" if value else "wrong"
    unit = f" {metric.unit}" if metric.unit.startswith("nats") else ""
    return f"{metric.label}: {metric.value(value)}{unit}"


def _clipped(text: str) -> str:
    return text if len(text) <= _CLIPPED else f"{text[:_CLIPPED]} … ({len(text) - _CLIPPED:,} characters more)"


def _marked(text: str, wanted: Sequence[str]) -> Markup:
    """Escape a text and mark the gold answer in it."""
    words = sorted((re.escape(one) for one in wanted if one), key=len, reverse=True)
    if not words:
        return escape(text)
    # Odd pieces are those that the group matched.
    pieces = re.split(f"({'|'.join(words)})", text, flags=re.IGNORECASE)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces)
    )
