"""Whether an answer shows that the documents do not contain one: refused answers with and without the right passage.

    python benchmarks/abstention.py gold --data multidoc_qa.jsonl.gz --rows 0:300
    python benchmarks/abstention.py mixed --data multidoc_qa.jsonl.gz --rows 0:300
    python benchmarks/abstention.py small --data tests/pipelines/checks/small_documents.jsonl
    python benchmarks/abstention.py passages --data multidoc_qa.jsonl.gz --rows 0:50 --to passages.jsonl
    python benchmarks/abstention.py samples --to samples.jsonl
    python benchmarks/abstention.py report samples.jsonl

"gold" runs no model. It takes the gold answers of Natural Questions as answers to their passages, and for the questions
without their passage the first name or number of the most similar passage, which is what a small model often copies.

"mixed" is the same for a document of five lines of different matters, as people first try a tool: the sentence with the
answer and four sentences of other rows, or five of other rows and the first name or number of the line that is closest.

"small" is the same for documents of a few lines that were written for it (a lease, an invoice, a recipe), half of them
held out, with questions of one or two words ("Rent?") and longer ones. Answers to questions that a document does not
answer are the first name or number of the closest line, and of each other line.

"passages": rows of Natural Questions, each asked twice among ten passages: the right one and the nine nearest to the
question, and the ten nearest without it. "samples": the questions about the sample documents with what is retrieved for
them, and those that can be answered also without the passages of their gold pages. No passage of the second kind
contains a right answer. Each answer is one line of the results file; run the same command again to continue.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evidence import SEED, SENTENCE_END, rows_and_similarities
from rich.progress import track
from sra_evaluations.metrics.correctness import is_right
from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.grounding import is_grounded
from sra_pipelines.checks.relevance import Relevance, measure_relevance
from sra_pipelines.checks.support import check_support
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.embedding_identity import unit_vectors
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.index.query_vectors import query_vector
from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions
from sra_pipelines.values import Passage

from sra_rag import Engine, SamplingOptions, load_model
from sra_rag.notation import parse_sra

PASSAGES = 10
LINES = 5
NAME_OR_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|(?<=[a-z] )[A-Z][\w-]+ [A-Z][\w-]+")


@dataclasses.dataclass(frozen=True)
class Item:
    """A question and its passages; `answers` is empty if no passage holds one."""

    id: str
    question: str
    passages: tuple[Passage, ...]
    answers: tuple[str, ...]
    closest: float  # cosine of the closest passage, without those that were taken out


class NaturalQuestions:
    """Rows of Natural Questions, as an index of passages whose similarities are known."""

    revision = 0

    def __init__(self, data: Path, vectors: Path | None) -> None:
        self.rows, self.near = rows_and_similarities(data, vectors)
        self.texts = [
            Passage(row["title"], number, "1", row["text"], end=len(row["text"]))
            for number, row in enumerate(self.rows)
        ]
        self.n_passages = len(self.texts)
        self.keywords = KeywordIndex(self.texts)
        self.embedding = load_embedding()
        self._numbers = {self.question(number): number for number in range(len(self.rows))}

    def search(self, question: str, limit: int, *, phrases: Sequence[str] = ()) -> list[Passage]:
        """Return the passages most similar to the question of a row."""
        near = self.near[self._numbers[question]]
        return [dataclasses.replace(self.texts[n], score=float(near[n])) for n in (-near).argsort()[:limit]]

    def passages(self) -> list[Passage]:
        """Return all passages."""
        return self.texts

    def question(self, number: int) -> str:
        """Return a question as people write it."""
        text = self.rows[number]["question"]
        return f"{text[:1].upper()}{text[1:]}?"

    def cosine(self, question: str, text: str) -> float:
        """Return the cosine of a question and a text."""
        [passage] = unit_vectors([self.embedding.get_text_embedding(text)])
        return float(passage @ query_vector(self.embedding, question))

    def nearest(self, number: int) -> list[int]:
        """Return the rows whose passages are most similar to a question and do not contain its answer."""
        wanted = [answer.lower() for answer in self.rows[number]["answers"]]
        others = [
            other
            for other, row in enumerate(self.rows)
            if other != number and not any(answer in row["text"].lower() for answer in wanted)
        ]
        return sorted(others, key=lambda other: -self.near[number, other])[:PASSAGES]

    def items(self, rows: slice) -> Iterator[Item]:
        """Yield each row of the shuffled file with its gold passage and without it."""
        order = list(range(len(self.rows)))
        random.Random(SEED).shuffle(order)  # noqa: S311 - no secret
        for gold in order[rows]:
            others = self.nearest(gold)
            if len(others) < PASSAGES:  # an answer such as "2" is in most passages
                continue
            rng = random.Random(gold)  # noqa: S311
            for with_gold in (True, False):
                chosen = others[: PASSAGES - 1] if with_gold else list(others)
                rng.shuffle(chosen)
                if with_gold:
                    chosen.insert(rng.randrange(PASSAGES), gold)
                closest = max(float(self.near[gold, i]) for i in chosen)
                yield Item(
                    f"{gold}{'' if with_gold else '-absent'}", self.question(gold),
                    tuple(self.texts[i] for i in chosen),
                    tuple(self.rows[gold]["answers"]) if with_gold else (), closest,
                )  # fmt: skip


def gold_answers(data: NaturalQuestions, rows: slice) -> str:
    """Return how many gold answers are refused, and how many of other passages for questions without their passage."""
    gold: list[Relevance] = []
    copied: list[Relevance] = []
    for number in range(*rows.indices(len(data.rows))):
        question, weights = data.question(number), data.keywords.weights(data.question(number))
        own = data.texts[number]
        answer = next((a for a in data.rows[number]["answers"] if a.lower() in own.text.lower()), None)
        others = data.nearest(number)
        if answer is None or len(others) < PASSAGES:
            continue
        closest = float(data.near[number].max())
        gold += _measured(data, question, answer, [own], weights, closest)
        around = [data.texts[i] for i in others]
        closest = float(data.near[number, others[0]])
        if first := NAME_OR_NUMBER.search(around[0].text):
            copied += _measured(data, question, first[0], around, weights, closest)
    lines = ["| answers | refused |", "|---|---|"]
    names = ("gold answers (wrong refusals)", "of the most similar passage, the right one taken out")
    for name, found in zip(names, (gold, copied), strict=True):
        lines.append(f"| {name} | {sum(r.too_low for r in found)} of {len(found)} |")
    return "\n".join(lines) + "\n"


def _measured(
    data: NaturalQuestions,
    question: str,
    answer: str,
    passages: Sequence[Passage],
    weights: dict[str, float],
    closest: float,
) -> list[Relevance]:
    citations = cite(answer, question, passages)
    relevance = measure_relevance(question, passages, citations, weights, closest=closest, embedding=data.embedding)
    return [] if relevance is None else [relevance]


def mixed_answers(data: NaturalQuestions, rows: slice) -> str:
    """Return how many answers to documents of five lines are refused, with the right one and without."""
    rng = random.Random(SEED)  # noqa: S311 - no secret
    sentences = [[s for s in SENTENCE_END.split(row["text"]) if 40 < len(s) < 300] for row in data.rows]
    gold: list[Relevance] = []
    copied: list[Relevance] = []
    for number in track(range(*rows.indices(len(data.rows))), "documents"):
        question, wanted = data.question(number), [answer.lower() for answer in data.rows[number]["answers"]]
        held = ((s, answer) for s in sentences[number] for answer in wanted if answer in s.lower())
        sentence, answer = next(held, ("", ""))
        if not sentence:
            continue
        others = [s for other in rng.sample(range(len(data.rows)), 40) if other != number for s in sentences[other][:1]]
        others = [s for s in others if not any(answer in s.lower() for answer in wanted)][:LINES]
        if len(others) < LINES:
            continue
        gold += _of_lines(data, question, answer, [sentence, *others[1:]], rng)
        line = max(others, key=lambda s: data.cosine(question, s))
        if first := NAME_OR_NUMBER.search(line) or NAME_OR_NUMBER.search(" ".join(others)):
            copied += _of_lines(data, question, first[0], others, rng)
    lines = ["| answers | refused |", "|---|---|"]
    for name, found in (("gold answers (wrong refusals)", gold), ("of another line, the right one taken out", copied)):
        lines.append(f"| {name} | {sum(r.too_low for r in found)} of {len(found)} |")
    return "\n".join(lines) + "\n"


def _of_lines(
    data: NaturalQuestions, question: str, answer: str, lines: list[str], rng: random.Random
) -> list[Relevance]:
    text = "\n".join(rng.sample(lines, len(lines)))
    passage = Passage("notes.txt", 0, "1", text, end=len(text))
    weights = KeywordIndex([passage]).weights(question)
    return _measured(data, question, answer, [passage], weights, data.cosine(question, text))


def small_documents(file: Path) -> str:
    """Return how many answers to questions about small documents get sources, by the length of the questions."""
    embedding = load_embedding()
    counts: dict[tuple[str, bool, str], list[bool]] = {}
    for row in _records(file):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / row["document"]
            path.write_text(row["text"], encoding="utf-8")
            retriever = Retriever(DocumentIndex([read_document(path)], embedding))
        lines = [line for line in row["text"].split("\n") if NAME_OR_NUMBER.search(line) or re.search(r"\d", line)]
        vectors = unit_vectors(embedding.get_text_embedding_batch(lines or [row["text"]]))
        for length in ("short", "longer"):
            for question, answer in row[length]["answered"]:
                key = length, row["held_out"], "right"
                counts.setdefault(key, []).append(_has_sources(retriever, question, answer, embedding))
            for question in row[length]["not_answered"] if lines else ():
                near = vectors @ query_vector(embedding, question)
                for rank, place in enumerate((-near).argsort()):
                    found = NAME_OR_NUMBER.search(lines[place]) or re.search(r"\d+", lines[place])
                    key = length, row["held_out"], "wrong, closest line" if rank == 0 else "wrong, other lines"
                    if found:
                        counts.setdefault(key, []).append(_has_sources(retriever, question, found[0], embedding))
    table = ["| questions | documents | answers | with sources |", "|---|---|---|---|"]
    for (length, held_out, kind), shown in sorted(counts.items()):
        half = "held out" if held_out else "chosen on"
        table.append(f"| {length} | {half} | {kind} | {sum(shown)} of {len(shown)} |")
    return "\n".join(table) + "\n"


def _has_sources(retriever: Retriever, question: str, answer: str, embedding: Any) -> bool:
    """Return whether an answer to a question gets sources, as `DocumentQA` decides it."""
    found = retriever.retrieve_expanded(question, 1500, lambda text: len(text.split()))
    support = check_support(answer, question, found.passages)
    if abstains(answer, support) is not None or not is_grounded(question, found.passages, support):
        return False
    citations = cite(answer, question, found.passages, retriever.pages(), support=support)
    relevance = measure_relevance(
        question, found.passages, citations, retriever.word_weights(question), closest=found.closest,
        embedding=embedding,
    )  # fmt: skip
    return bool(citations) and not (relevance is not None and relevance.too_low)


def sample_items(qa: DocumentQA) -> Iterator[Item]:
    """Yield the sample questions, and those that can be answered without the passages of their gold pages."""
    for question in sample_questions():
        retrieval = qa.retrieve(question.question)
        dense = qa.index.search(question.question, 2000)
        pages = {(question.document, span.page) for span in question.evidence}
        held = [p for p in retrieval.passages if (p.document, p.page_index) in pages]
        if question.answer is None:
            yield Item(question.id, question.question, retrieval.passages, (), dense[0].score)
        if question.answer is None or not held:
            continue
        yield Item(question.id, question.question, retrieval.passages, (question.answer,), dense[0].score)
        without = [hit for hit in dense if (hit.document, hit.page_index) not in pages]
        kept = tuple(p for p in retrieval.passages if p not in held)
        if kept and not any(is_right(passage.text, question.answer, question.question) for passage in kept):
            yield Item(f"{question.id}-absent", question.question, kept, (), without[0].score)


def measure(qa: DocumentQA, item: Item, sra: str) -> dict[str, Any]:
    """Answer a question, and return what was seen of the answer."""
    retrieval = Retrieval(item.question, item.passages, format_passages(item.passages), closest=item.closest)
    started = time.process_time()
    answer = qa.ask(retrieval, sra=parse_sra(sra))
    evidence = answer.generation.evidence
    return {
        "item": item.id, "sra": sra, "answerable": bool(item.answers), "question": item.question,
        "answers": item.answers, "answer": answer.text, "abstained": answer.abstained,
        "sources": len(answer.citations),
        "right": any(is_right(answer.text, gold, item.question) for gold in item.answers),
        "relevance": None if answer.relevance is None else dataclasses.asdict(answer.relevance),
        "closest": item.closest, "shares": None if evidence is None else evidence.shares,
        "seconds": time.process_time() - started,
    }  # fmt: skip


def report(records: Sequence[dict[str, Any]]) -> str:
    """Return how many answers of each kind are refused, and for which reason."""
    kinds = {
        "right": [r for r in records if r["answerable"] and r["right"]],
        "wrong, the passages hold the answer": [r for r in records if r["answerable"] and not r["right"]],
        "wrong, they do not": [r for r in records if not r["answerable"]],
    }
    lines = [
        "| answers | number | refused | not about the question | nothing supported | no sources |",
        "|" + "---|" * 6,
    ]
    for name, found in kinds.items():
        reasons = [r["abstained"] for r in found]
        refused = sum(reason is not None for reason in reasons)
        cells = [len(found), refused, reasons.count("not about the question"), reasons.count("nothing supported")]
        cells.append(sum(r["abstained"] is None and not r["sources"] for r in found))
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Answer the questions and store what was seen, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["gold", "mixed", "small", "passages", "samples", "report"])
    parser.add_argument("files", type=Path, nargs="*", help="results files of the report")
    parser.add_argument("--data", type=Path, help="Natural Questions (JSONL, gzip), or the file of small documents")
    parser.add_argument("--rows", default="0:50")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--sra", default="evidence")
    parser.add_argument("--vectors", type=Path, help="store the embeddings of Natural Questions in this file (.npz)")
    parser.add_argument("--to", type=Path, help="results file")
    given = parser.parse_args()
    rows = slice(*map(int, given.rows.split(":")))
    if given.task == "report":
        sys.stdout.write(report([record for file in given.files for record in _records(file)]))
        return
    if given.task in ("gold", "mixed"):
        table = gold_answers if given.task == "gold" else mixed_answers
        sys.stdout.write(table(NaturalQuestions(given.data, given.vectors), rows))
        return
    if given.task == "small":
        sys.stdout.write(small_documents(given.data))
        return
    options = SamplingOptions(max_new_tokens=given.tokens)
    index: PassageIndex
    engine = Engine(load_model(given.model, dtype=given.dtype), options=options, max_prefixes=2)
    if given.task == "samples":
        index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding())
        # Retrieval counts tokens with the embedded model, so that all models get the same passages.
        counting = engine if given.model == "embedded" else Engine(load_model("embedded"))
        items = list(sample_items(DocumentQA(index, counting, context_tokens=1500)))
    else:
        data = NaturalQuestions(given.data, given.vectors)
        index = data
        items = list(data.items(rows))
    random.Random(SEED).shuffle(items)  # noqa: S311 - so that a part of the run has all kinds
    qa = DocumentQA(index, engine)
    done = {record["item"] for record in _records(given.to)}
    for item in track([item for item in items if item.id not in done], "answering"):
        record = measure(qa, item, given.sra)
        with given.to.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    sys.stdout.write(report(_records(given.to)))


def _records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


if __name__ == "__main__":
    main()
