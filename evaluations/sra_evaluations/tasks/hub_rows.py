"""Published data sets and how their rows are read: a small table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from sra_pipelines.values import Passage

from sra_evaluations.examples import Example

__all__ = ["SOURCES", "Source"]

_INSTRUCTION = (
    "Answer the question from the passages below and from nothing else. Be brief: yes or no, a name, a date, a few "
    "words. If the passages do not hold the answer, say that the documents do not say."
)
_PARTS = 4  # of a passage, for the answer's position


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A data set.

    Parameters
    ----------
    path
        Its name on the hub.
    subset
        The configuration that is taken unless another is named, None where there is one only.
    split
        The one that is taken unless another is named.
    columns
        What a row has to have.
    read
        Makes an example of a row.
    """

    path: str
    subset: str | None
    split: str
    columns: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Example]


def _squad(row: Mapping[str, Any]) -> Example:
    """Read SQuAD (arXiv 1606.05250) and SQuAD 2.0 (arXiv 1806.03822): one paragraph; no answers, no answer there."""
    context, answers, starts = row["context"], row["answers"]["text"], row["answers"]["answer_start"]
    features: dict[str, float | str] = {"title": row["title"]}
    gold: tuple[str, ...] = ()
    if answers:
        first = starts[0]
        features["position"] = round(_PARTS * first / max(1, len(context))) / _PARTS
        begin = context.rfind(". ", 0, first) + 2 if ". " in context[:first] else 0
        end = context.find(". ", first + len(answers[0]) - 1)
        gold = (context[begin : end + 1 if end >= 0 else len(context)],)
    return Example(
        id=str(row["id"]),
        instruction=_INSTRUCTION,
        context=context,
        question=f"Question: {row['question'].strip()}",
        answers=tuple(dict.fromkeys(answers)),
        features=features,
        gold=gold,
        passages=(Passage(row["title"], 0, "1", context),),
    )


def _hotpot(row: Mapping[str, Any]) -> Example:
    """Read HotpotQA (arXiv 1809.09600): ten paragraphs, two of which together contain the answer."""
    titles, sentences = row["context"]["title"], row["context"]["sentences"]
    texts = [f"{title}\n{''.join(said).strip()}" for title, said in zip(titles, sentences, strict=True)]
    supporting = set(row["supporting_facts"]["title"])
    gold = [n for n, title in enumerate(titles) if title in supporting]
    features: dict[str, float | str] = {"type": row["type"], "level": row["level"], "passages": len(titles)}
    if gold and len(titles) > 1:
        features["position"] = round(_PARTS * sum(gold) / len(gold) / (len(titles) - 1)) / _PARTS
    return Example(
        id=str(row["id"]),
        instruction=_INSTRUCTION,
        context="\n\n".join(texts),
        question=f"Question: {row['question'].strip()}",
        answers=(str(row["answer"]),),
        features=features,
        gold=tuple(texts[n] for n in gold),
        passages=tuple(Passage(title, 0, "1", text) for title, text in zip(titles, texts, strict=True)),
    )


def _longbench(row: Mapping[str, Any]) -> Example:
    """Read a question of LongBench (arXiv 2308.14508); its length is in words, or characters where it is Chinese."""
    return Example(
        id=str(row["_id"]),
        instruction=_INSTRUCTION,
        context=row["context"],
        question=f"Question: {row['input'].strip()}",
        answers=tuple(map(str, row["answers"])),
        features={"data set": row["dataset"], "length": _length(int(row["length"]))},
    )


def _length(words: int) -> str:
    """The bands of LongBench-E."""
    return "under 4k" if words < 4000 else "4k to 8k" if words < 8000 else "over 8k"


_SQUAD_COLUMNS = ("id", "title", "context", "question", "answers")
_HOTPOT_COLUMNS = ("id", "question", "answer", "type", "level", "supporting_facts", "context")
_LONGBENCH_COLUMNS = ("_id", "input", "context", "answers", "length", "dataset")

SOURCES = {
    "squad": Source("rajpurkar/squad", None, "validation", _SQUAD_COLUMNS, _squad),
    "squad_v2": Source("rajpurkar/squad_v2", None, "validation", _SQUAD_COLUMNS, _squad),
    "hotpot_qa": Source("hotpotqa/hotpot_qa", "distractor", "validation", _HOTPOT_COLUMNS, _hotpot),
    # The authors' own copy comes with a script, which `datasets` no longer runs; this is the same as Parquet files.
    **{
        f"longbench_{name}": Source("Xnhyacinth/LongBench", name, "test", _LONGBENCH_COLUMNS, _longbench)
        for name in ("narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "musique")
    },
}
