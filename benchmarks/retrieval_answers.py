"""Amounts in the answers to questions about filings, with and without vocabulary: by the model and by code.

    python benchmarks/retrieval_answers.py FOLDER --cache CACHE --to results.jsonl

FOLDER and CACHE are those of `retrieval_filings.py`. Asked are the questions whose gold answer contains an amount, with
the preset `financial`, which lets code compute what a question asks for from verified amounts (`Answer.calculation`).
An amount is right if it equals an amount of the gold answer within 1%, or rounds to it if that has decimals, in any
scale (8,738 million is 8.7 billion), or as a share (0.308 is 30.8%); a calculation is right if its last result or its
change is. With `--code-only` no answers are generated (half a minute of CPU time each with the embedded model): code
looks for the amounts in the passages alone. Results are appended question by question; the same command continues after
a stop.

`--cross-validate` also chooses how many unknown words of a question are allowed, without each company in turn; a wrong
result costs as much as three right ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from financebench import amounts, near
from resumed_results import ResumedResults, filing_arguments, read_questions
from retrieval_filings import share
from sra_pipelines import DocumentQA
from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.asked_amounts import asked_amounts
from sra_pipelines.checks.calculations import Calculation, asked_operation, calculate
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.retrieval.retriever import Retriever

from sra_rag import Engine, SamplingOptions, load_model

PRESET = load_preset("financial")
ROWS = {"without vocabulary": (), "with vocabulary (default)": PRESET.vocabulary}
SCALES = (1.0, 1e3, 1e6, 1e9, 100.0)  # between units, thousands, millions and billions; between shares and per cent
UNKNOWN_WORDS = (0, 1, 2, 3)  # the default first: it is chosen where others are not better
COST = 3  # right results that a wrong one costs


def main() -> None:
    """Answer the questions and print the table."""
    parser = filing_arguments(__doc__)
    parser.add_argument("--sra", default="off", help="attention settings, such as 'evidence' (default: off)")
    parser.add_argument("--code-only", action="store_true", help="generate no answers: calculations by code alone")
    parser.add_argument("--cross-validate", action="store_true", help="choose settings without each company")
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    options = parser.parse_args()

    questions = [question for question in read_questions(options.folder) if amounts(question["answer"])]
    results = ResumedResults(options.to)
    engine = Engine(load_model(options.model), options=SamplingOptions(max_new_tokens=64))
    sra = None if options.sra == "off" else options.sra
    for index, question in results.missing(options.folder, options.cache, questions):
        result: dict[str, Any] = {
            "id": question["id"], "company": question["document"].split("_")[0], "gold": question["answer"],
        }  # fmt: skip
        for name, vocabulary in ROWS.items():
            retriever = Retriever(index, vocabulary=vocabulary)
            qa = DocumentQA(
                index, engine, context_tokens=options.context_tokens, preset=PRESET, retriever=retriever
            )  # fmt: skip
            found = qa.retrieve(question["question"])
            pages = {passage.page_index for passage in found.passages}
            calculations = [by_code(found, qa.retriever.pages(), most_unknown) for most_unknown in UNKNOWN_WORDS]
            text = "" if options.code_only else qa.ask(found, sra=sra).text
            result[name] = {
                "text": text,
                "calculations": [calculation and calculation.text for calculation, _ in calculations],
                "note": calculations[0][1],
                "gold_page": any(evidence["page"] in pages for evidence in question["evidence"]),
            }
        results.add(result, len(questions))
    print_tables(results.done, options.context_tokens, cross_validate=options.cross_validate)


def print_tables(done: Sequence[dict[str, Any]], context_tokens: int, *, cross_validate: bool) -> None:
    """Print the calculations and the tables."""
    for result in done:
        own = result["with vocabulary (default)"]
        if own["calculations"][0] or own["note"]:
            verdict = judged(own["calculations"][0], result["gold"])
            print(f"- {verdict}: {own['calculations'][0] or own['note']} [gold: {result['gold'][:120]}]")
    verdict_names = ("right", "wrong", "not computed")
    asked = any(result[name]["text"] for result in done for name in ROWS)
    heading = f"| {len(done)} questions, {context_tokens:,} tokens | gold page in the context | by code: right | wrong "
    print(f"\n{heading}| not computed |{' right amount by the model |' if asked else ''}")
    print("|---" * (6 if asked else 5) + "|")
    for name in ROWS:
        for place, most_unknown in enumerate(UNKNOWN_WORDS):
            if place and not (cross_validate and ROWS[name]):
                continue
            verdicts = [judged(result[name]["calculations"][place], result["gold"]) for result in done]
            cells = [share([result[name]["gold_page"] for result in done])]
            cells += [str(verdicts.count(verdict)) for verdict in verdict_names]
            if asked:
                cells.append(share([is_right(result[name]["text"], result["gold"]) for result in done]))
            title = f"{name}, {most_unknown} unknown words allowed" if place else name
            print(f"| {title} | {' | '.join(cells)} |")
    if cross_validate:
        chosen, verdicts = cross_validated(done)
        cells = [str(verdicts.count(verdict)) for verdict in verdict_names]
        print(f"| with vocabulary, cross-validated | | {' | '.join(cells)} |")
        print(f"\nUnknown words allowed, chosen without each company: {chosen}")


def cross_validated(done: Sequence[dict[str, Any]]) -> tuple[dict[str, int], list[str]]:
    """Return the number of unknown words that the other companies choose, and the verdicts with it."""
    name = "with vocabulary (default)"
    chosen, verdicts = {}, []
    for company in dict.fromkeys(result["company"] for result in done):
        values = []
        for number in range(len(UNKNOWN_WORDS)):
            others = [judged(r[name]["calculations"][number], r["gold"]) for r in done if r["company"] != company]
            values.append(others.count("right") - COST * others.count("wrong"))
        best = values.index(max(values))
        chosen[company] = UNKNOWN_WORDS[best]
        verdicts += [judged(r[name]["calculations"][best], r["gold"]) for r in done if r["company"] == company]
    return chosen, verdicts


def by_code(found: Retrieval, pages: Pages, most_unknown: int) -> tuple[Calculation | None, str]:
    """Return what code computes for a question without a model, and why it computes nothing, if that is known."""
    metric = computed_metric(
        found.question, found.passages, found.statements, PRESET.metrics, pages=pages, most_unknown=most_unknown
    )  # fmt: skip
    if metric is not None:
        return metric
    operation = asked_operation(found.question)
    return operation and calculate(operation, asked_amounts(found.question, operation, found.passages)), ""


def judged(calculation: str | None, gold: str) -> str:
    """Return whether a calculation is right, wrong or not computed."""
    if not calculation:
        return "not computed"
    return "right" if any(is_right(result, gold) for result in outcomes(calculation)) else "wrong"


def outcomes(calculation: str) -> list[str]:
    """Return the last result of a calculation and its change, as text without operands."""
    parts = [part.rpartition("=" if "=" in part else ":")[2] for part in calculation.split(";")]
    return parts[-2:] if "change =" in calculation else parts[-1:]


def is_right(text: str, gold: str) -> bool:
    """Return whether a text contains an amount of the gold answer, in any scale."""
    return any(_same(amount, other) for amount in amounts(gold) for other in amounts(re.sub(r"[+-](?=\d)", "", text)))


def _same(amount: float, other: float, scales: Sequence[float] = SCALES) -> bool:
    """Return whether an amount of a gold answer and another one are the same in some scale."""
    decimals = len(str(amount).partition(".")[2].rstrip("0"))
    return any(
        near(amount * scale, other)
        or near(amount, other * scale)
        or (decimals and amount in (round(other / scale, decimals), round(other * scale, decimals)))
        for scale in scales
    )


if __name__ == "__main__":
    main()
