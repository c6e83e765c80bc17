"""A sample of judged answers to be read by hand, to see whether the metrics judge as a reader does."""

from __future__ import annotations

import dataclasses
import itertools
import random
import textwrap
from collections.abc import Mapping, Sequence

from sra_evaluations.report.task_results import Examples
from sra_evaluations.results.comparison import Comparison

__all__ = ["JudgedAnswer", "judged_sample", "write_sample"]

_WIDTH = 110


@dataclasses.dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer and how it was judged.

    Parameters
    ----------
    task, setting, example
        Names as records have them.
    question, gold, answer
        Texts; `gold` is empty if the documents do not contain the answer.
    scores
        Metrics that judge the answer, by name.
    """

    task: str
    setting: str
    example: str
    question: str
    gold: tuple[str, ...]
    answer: str
    scores: Mapping[str, float]


def judged_sample(comparison: Comparison, examples: Examples, count: int) -> list[JudgedAnswer]:
    """Choose answers at random, evenly from the tasks, the settings, and right and wrong ones.

    Parameters
    ----------
    comparison
        The results.
    examples
        From `sra_evaluations.results.records.read_examples`.
    count
        Maximum number of answers. The same results give the same answers.
    """
    groups: dict[tuple[str, str, bool], list[JudgedAnswer]] = {}
    for task in comparison.tasks:
        for setting in comparison.settings:
            for name in comparison.examples(task, setting):
                record, example = comparison.record(task, setting, name), examples.get((task, name))
                if record.answer is None or example is None or "right" not in record.scores:
                    continue
                scores = {
                    metric: record.scores[metric]
                    for metric in ("right", "right_not_copied", "contains", "figures", "f1", "cut_off")
                    if metric in record.scores
                }
                groups.setdefault((task, setting, scores["right"] >= 0.5), []).append(
                    JudgedAnswer(
                        task, setting, name, str(example["question"]), tuple(example["answers"]), record.answer, scores
                    )
                )
    rng = random.Random("judged sample")  # noqa: S311 - no secret
    shuffled = [rng.sample(group, len(group)) for _, group in sorted(groups.items())]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*shuffled))
    return list(itertools.islice((answer for answer in in_turn if answer is not None), count))


def write_sample(answers: Sequence[JudgedAnswer]) -> str:
    """Write a sample as text, with a line for the reader's own judgement after each answer."""
    parts = []
    for number, answer in enumerate(answers, start=1):
        gold = " / ".join(answer.gold) or "(the documents do not contain the answer)"
        scores = ", ".join(f"{name} {value:.2g}" for name, value in answer.scores.items())
        verdict = "RIGHT" if answer.scores["right"] == 1 else "WRONG" if answer.scores["right"] == 0 else "PARTLY RIGHT"
        lines = [
            f"{number}. {answer.task} | {answer.setting} | {answer.example}",
            *_wrapped("question", answer.question.removeprefix("Question: ")),
            *_wrapped("gold", gold),
            *_wrapped("answer", answer.answer or "(empty)"),
            *_wrapped("judged", f"{verdict} ({scores})"),
            "   by hand:  [ ] agree  [ ] disagree",
        ]
        parts.append("\n".join(lines))
    total = len(answers)
    parts.append(f"{total} judged answers. Share of wrong judgements: the number of disagreements divided by {total}.")
    return "\n\n".join(parts) + "\n"


def _wrapped(name: str, text: str) -> list[str]:
    line = f"{name + ':':9} {' '.join(text.split())}"
    return textwrap.wrap(line, _WIDTH, initial_indent=" " * 3, subsequent_indent=" " * 13)
