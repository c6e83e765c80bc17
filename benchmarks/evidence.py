"""Do evidence weights increase the number of right answers? Runs the same prompts with each setting.

    python benchmarks/evidence.py similar --data multidoc_qa.jsonl.gz --model embedded --rows 200:260 --to results.jsonl
    python benchmarks/evidence.py pairs --data kv_retrieval_75.jsonl.gz --rows 60:70
    python benchmarks/evidence.py samples --context-tokens 6000
    python benchmarks/evidence.py facts --rows 0:50
    python benchmarks/evidence.py lines --data multidoc_qa.jsonl.gz --rows 540:580
    python benchmarks/evidence.py two --rows 0:40
    python benchmarks/evidence.py two_lines --rows 0:40

``similar`` and ``random``: Natural Questions (a row has ``question``, ``answers``, ``title``, ``text``), the gold
passage at a random position among nine others: those whose embeddings are most similar to the question, or random ones.
``pairs``: one of 75 pairs of UUIDs; the prompt includes the beginning of the answer (``The value is "``). ``samples``:
the questions about the sample documents whose answer is in the passages that are retrieved. ``facts``: documents as
short as those that people try first, a sentence with an invented fact and a page of one to three words. ``lines``: a
single passage of ten lines of different matters: the sentence with the answer, and nine sentences of other rows.
``two``: questions of two parts about two of ten invented passages, which resemble each other. ``two_lines``: such
questions about a single passage, the five texts that resemble each other as one page. Right is an answer with both.
Answers that are in the results file are not generated again. An answer is right as in `correctness.is_right` of the
evaluations. It is a copy if it begins with the first eight words of the gold passage.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import binomtest
from sra_evaluations.metrics.correctness import is_right, normalize, token_f1
from sra_pipelines.retrieval.packing import Order

from sra_rag import Engine, SamplingOptions, load_model
from sra_rag.generation.prompts import PromptEncoder
from sra_rag.heads.probes import probe_groups
from sra_rag.models.loading import load_tokenizer
from sra_rag.notation import parse_sra

INSTRUCTION = (
    "Answer the question from the passages below and from nothing else, with a few words. If the passages do not hold "
    "the answer, say that the documents do not say."
)
SEED = 11
SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=[A-Z0-9"])')


@dataclasses.dataclass(frozen=True)
class Item:
    """A prompt, its right answers, and the indices of the passages that contain them."""

    question: str
    instruction: str
    passages: tuple[str, ...]
    joint: str
    answers: tuple[str, ...]
    gold: tuple[int, ...]
    copied: str
    begun: str = ""  # the beginning of the answer, which is part of the prompt
    second: tuple[str, ...] = ()  # right answers to the second part of a question of two parts
    scores: tuple[float, ...] | None = None  # how well each passage fits the question by a search

    @property
    def context(self) -> str:
        """All passages."""
        return self.joint.join(self.passages)

    def messages(self) -> list[dict[str, str]]:
        """Return the prompt."""
        return [{"role": "user", "content": f"{self.instruction}\n\n{self.context}\n\n{self.question}"}]


def natural_questions(data: Path, rows: slice, *, similar: bool, passages: int, vectors: Path | None) -> Iterator[Item]:
    """Yield prompts from rows of Natural Questions."""
    everything = _read(data)
    order = list(range(len(everything)))
    random.Random(SEED).shuffle(order)  # noqa: S311 - no secret
    near = _similarities(everything, vectors) if similar else None
    for gold in order[rows]:
        row = everything[gold]
        wanted = [answer.lower() for answer in row["answers"]]
        others = [i for i, o in enumerate(everything) if i != gold and not any(w in o["text"].lower() for w in wanted)]
        rng = random.Random(gold)  # noqa: S311
        if near is None:
            chosen = rng.sample(others, passages - 1)
        else:
            chosen = sorted(others, key=lambda i: -near[gold, i])[: passages - 1]
            rng.shuffle(chosen)
        at = rng.randrange(passages)
        chosen.insert(at, gold)
        texts = tuple(
            f"Passage {n} (Title: {everything[i]['title']})\n{everything[i]['text']}" for n, i in enumerate(chosen, 1)
        )
        question = f"Question: {row['question']}"
        scores = None if near is None else tuple(float(near[gold, i]) for i in chosen)
        yield Item(question, INSTRUCTION, texts, "\n\n", tuple(row["answers"]), (at,), row["text"], scores=scores)


def lines_of_a_page(data: Path, rows: slice) -> Iterator[Item]:
    """Yield questions of Natural Questions about one passage of ten sentences of different rows."""
    everything = _read(data)
    order = list(range(len(everything)))
    random.Random(SEED).shuffle(order)  # noqa: S311 - no secret
    sentences = [[s for s in SENTENCE_END.split(row["text"]) if 40 < len(s) < 300] for row in everything]
    for gold in order[rows]:
        row, rng = everything[gold], random.Random(gold)  # noqa: S311
        wanted = [answer.lower() for answer in row["answers"]]
        held = next((s for s in sentences[gold] if any(w in s.lower() for w in wanted)), None)
        firsts = [own[0] for number, own in enumerate(sentences) if own and number != gold]
        others = [s for s in rng.sample(firsts, 60) if not any(w in s.lower() for w in wanted)][:9]
        if held is None or len(others) < 9:
            continue
        text = "\n".join(rng.sample([held, *others], 10))
        yield Item(f"Question: {row['question']}", INSTRUCTION, (text,), "", tuple(row["answers"]), (0,), held)


def rows_and_similarities(data: Path, vectors: Path | None) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the rows of Natural Questions, and the cosine of each question and passage, ``(rows, rows)``."""
    everything = _read(data)
    return everything, _similarities(everything, vectors)


def _read(data: Path) -> list[dict[str, Any]]:
    with gzip.open(data, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _similarities(rows: Sequence[dict[str, Any]], vectors: Path | None) -> np.ndarray:
    """Return the cosine of each question and passage, ``(rows, rows)``. The file `vectors` stores the embeddings."""
    if vectors is not None and vectors.exists():
        stored = np.load(vectors)
        return stored["q"] @ stored["p"].T
    from sra_pipelines.index.embedding import load_embedding

    model = load_embedding()
    texts = model.get_text_embedding_batch([f"{row['title']}\n{row['text']}" for row in rows], show_progress=True)
    questions = [model.get_query_embedding(row["question"]) for row in track(rows, "questions")]
    arrays = (np.array(embeddings) for embeddings in (questions, texts))
    q, p = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in arrays)
    if vectors is not None:
        np.savez(vectors, q=q, p=p)
    return q @ p.T


def pairs(data: Path, rows: slice) -> Iterator[Item]:
    """Yield prompts from rows of key-value retrieval."""
    with gzip.open(data, "rt", encoding="utf-8") as file:
        for row in [json.loads(line) for line in file][rows]:
            lines = tuple(f'"{key}": "{value}",' for key, value in row["ordered_kv_records"])
            at = [key for key, _ in row["ordered_kv_records"]].index(row["key"])
            instruction = "Give the value of the key that is asked for, from the pairs below."
            question = f'Key: "{row["key"]}". What is its value?'
            yield Item(question, instruction, lines, "\n", (row["value"],), (at,), lines[at], 'The value is "')


def samples(rows: slice, context_tokens: int, order: Order = "document") -> Iterator[Item]:
    """Yield questions about the sample documents, without those whose gold page is not retrieved."""
    from sra_pipelines import DocumentIndex, read_document
    from sra_pipelines.answering.answers import Retrieval
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.retrieval.packing import format_passages
    from sra_pipelines.retrieval.retriever import Retriever
    from sra_pipelines.samples import sample_documents, sample_questions

    index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding())
    # Tokens are counted with the embedded model, so that all models get the same passages.
    encoder = PromptEncoder(load_tokenizer("embedded"))
    retriever = Retriever(index, order=order)
    for question in [question for question in sample_questions() if question.evidence][rows]:
        retrieved = retriever.retrieve_expanded(
            question.question, context_tokens, lambda text: len(encoder.encode_text(text).token_ids)
        )
        passages, ranks = tuple(retrieved.passages), tuple(retrieved.ranks)
        found = Retrieval(question.question, passages, format_passages(passages), ranks=ranks)
        pages = {page.page for page in question.evidence}
        gold = tuple(
            number
            for number, passage in enumerate(found.passages)
            if question.document in passage.document and passage.page_index in pages
        )
        if gold and question.answer is not None:
            copied = found.passages[gold[0]].text
            texts = tuple(found.passage_texts())
            scores = found.passage_scores()
            yield Item(
                f"Question: {question.question}", found.instruction, texts, "\n\n", (question.answer,), gold, copied,
                scores=None if scores is None else tuple(scores),
            )  # fmt: skip


FACTS = (
    ("The lease of the {place} costs {amount} crowns, due on 1 March.", "What does the lease of the {place} cost?"),
    ("The {place} was insured for {amount} euros by the council.", "For how much was the {place} insured?"),
    ("The {place} was visited by {amount} people, more than before.", "How many people visited the {place}?"),
    ("The tenant of the {place} gives notice of {days} days.", "What notice does the tenant of the {place} give?"),
    ("The manager of the {place} is {name}, who works on weekdays.", "Who is the manager of the {place}?"),
)  # fmt: skip
PLACES = [
    f"{building} at {town}"
    for building in ("mill", "boathouse", "warehouse", "orchard", "chapel", "harbour", "quarry", "library", "bakery")
    for town in ("Orrin", "Selby", "Wexley", "Marlow", "Tarn", "Kelby")
]
NAMES = ("Anna Birk", "Tomas Reed", "Ilse Varga", "Peter Holm", "Carla Nuss", "John Abbey")
SHORT_PAGES = ("Preamble.", "Cover", "Page 1", "DRAFT", "Annex A", "Notes", "Left blank.", "For the council")


def facts(rows: slice) -> Iterator[Item]:
    """Yield questions about documents of two pages, one with a fact and one with hardly a word."""
    for number in range(rows.stop)[rows]:
        rng = random.Random(number)  # noqa: S311 - no secret
        values = {
            "amount": f"{rng.randrange(1_100, 99_000):,}",
            "days": str(rng.choice((14, 21, 30, 45, 60, 90))),
            "name": rng.choice(NAMES),
            "place": rng.choice(PLACES),
        }
        sentence, question = FACTS[number % len(FACTS)]
        pages = [sentence.format(**values), rng.choice(SHORT_PAGES)]
        rng.shuffle(pages)
        at = int(len(pages[0]) < len(pages[1]))
        [answer] = [value for name, value in values.items() if f"{{{name}}}" in sentence and name != "place"]
        asked = f"Question: {question.format(**values)}"
        yield Item(asked, INSTRUCTION, tuple(pages), "\n\n", (answer,), (at,), pages[at])


def two_parts(rows: slice, passages: int, *, one_page: bool) -> Iterator[Item]:
    """Yield questions of two parts, each about another of five invented passages that resemble each other."""
    groups = probe_groups()
    for number in range(rows.stop)[rows]:
        rng = random.Random(number)  # noqa: S311 - no secret
        group = groups[number % len(groups)]
        first, second = rng.sample(group, 2)
        others = [passage.text for other in groups if other is not group for passage in other]
        texts = [passage.text for passage in group]
        if not one_page:
            texts += rng.sample(others, passages - len(group))
        rng.shuffle(texts)
        (asked, answer), (asked_too, answer_too) = rng.choice(first.questions), rng.choice(second.questions)
        question = f"Question: {asked} And: {asked_too} Answer both."
        gold = (0,) if one_page else (texts.index(first.text), texts.index(second.text))
        shown = ("\n".join(texts),) if one_page else tuple(texts)
        yield Item(question, INSTRUCTION, shown, "\n\n", (answer,), gold, first.text, second=(answer_too,))


def judge(answer: str, item: Item) -> dict[str, float]:
    """Return whether an answer is right and whether it is a copy, and its token F1."""
    right = any(is_right(answer, gold, item.question) for gold in item.answers)
    if item.second:
        parts = right + any(is_right(answer, gold, item.question) for gold in item.second)
        f1 = token_f1(answer, f"{item.answers[0]} {item.second[0]}")
        return {"right": float(parts == 2), "parts": float(parts), "copy": 0.0, "f1": f1}
    words, copied = normalize(answer).split(), normalize(item.copied).split()
    copy = len(words) >= 8 and words[:8] == copied[:8]
    return {"right": float(right), "copy": float(copy), "f1": max(token_f1(answer, gold) for gold in item.answers)}


def report(records: Sequence[dict[str, Any]], settings: Sequence[str]) -> None:
    """Print the table of results."""
    by_setting = {name: {r["item"]: r for r in records if r["setting"] == name} for name in settings}
    shared = sorted(set.intersection(*(set(rows) for rows in by_setting.values())))
    off = by_setting[settings[0]]
    columns = ("setting", "right", "right, no copy", "F1", "passage found", "gained / lost", "p", "seconds")
    table = Table(*columns, title=f"n = {len(shared)}; p: sign test of gained against lost")
    for name, rows in by_setting.items():
        right = {i: rows[i]["right"] and not rows[i]["copy"] for i in shared}
        base = {i: off[i]["right"] and not off[i]["copy"] for i in shared}
        gained, lost = (sum(bool(a[i] and not b[i]) for i in shared) for a, b in ((right, base), (base, right)))
        found = [rows[i]["found"] for i in shared if rows[i]["found"] is not None]
        table.add_row(
            name,
            f"{sum(rows[i]['right'] for i in shared):.0f}",
            f"{sum(map(bool, right.values()))}",
            f"{100 * np.mean([rows[i]['f1'] for i in shared]):.1f}",
            f"{sum(found)} of {len(found)}" if found else "",
            f"{gained} / {lost}",
            f"{binomtest(gained, gained + lost).pvalue:.3f}" if gained + lost else "",
            f"{np.mean([rows[i]['seconds'] for i in shared]):.1f}",
        )
    Console(width=120).print(table)


def main() -> None:
    """Generate the answers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["similar", "random", "pairs", "samples", "facts", "lines", "two", "two_lines"])
    parser.add_argument("--data", type=Path, help="rows of the task, as JSONL compressed with gzip")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rows", default="0:20", help="range of rows, such as 200:260")
    parser.add_argument("--passages", type=int, default=10)
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages, for samples")
    parser.add_argument(
        "--order", choices=get_args(Order), default="document", help="order of the passages, for samples"
    )
    parser.add_argument("--tokens", type=int, default=64, help="maximum number of tokens of an answer")
    parser.add_argument(
        "--sra", action="append", help="a setting, as for sra-rag ask; repeat it for several; off is always the first"
    )
    parser.add_argument("--vectors", type=Path, help="store the embeddings of 'similar' in this file (.npz)")
    parser.add_argument("--to", type=Path, help="store answers in this file; continue if it exists")
    given = parser.parse_args()
    rows = slice(*(int(number) for number in given.rows.split(":")))
    settings = list(dict.fromkeys(["off", *(given.sra or ["alpha=0.3,rows=after_context", "evidence"])]))
    records = []
    if given.to is not None and given.to.exists():
        records = [json.loads(line) for line in given.to.read_text(encoding="utf-8").splitlines()]
    known = {(record["question"], record["setting"]) for record in records}  # an item is numbered within its rows
    if given.task == "samples":
        items = list(samples(rows, given.context_tokens, given.order))
    elif given.task == "facts":
        items = list(facts(rows))
    elif given.task == "lines":
        items = list(lines_of_a_page(given.data, rows))
    elif given.task in ("two", "two_lines"):
        items = list(two_parts(rows, given.passages, one_page=given.task == "two_lines"))
    elif given.task == "pairs":
        items = list(pairs(given.data, rows))
    else:
        near = given.task == "similar"
        items = list(natural_questions(given.data, rows, similar=near, passages=given.passages, vectors=given.vectors))
    engine = Engine(load_model(given.model, dtype=given.dtype), options=SamplingOptions(max_new_tokens=given.tokens))
    for number, item in enumerate(track(items, "answering")):
        for name in settings:
            if (item.question, name) in known:
                continue
            started = time.perf_counter()
            prompt = engine.encode(
                item.messages(), context=item.context, passages=item.passages, passage_scores=item.scores
            )
            begun = engine.loaded.tokenizer(item.begun, add_special_tokens=False).input_ids if item.begun else []
            prompt = dataclasses.replace(prompt, token_ids=(*prompt.token_ids, *begun))
            generation = engine.generate(prompt, sra=parse_sra(name))
            found = None
            if generation.evidence is not None:
                found = bool(set(generation.evidence.chosen[:1]) & set(item.gold))
            record = {
                "item": number, "question": item.question, "setting": name, "answer": generation.text.strip(),
                "found": found, "seconds": time.perf_counter() - started,
            } | judge(generation.text, item)  # fmt: skip
            records.append(record)
            if given.to is not None:
                with given.to.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
    report(records, settings)


if __name__ == "__main__":
    main()
