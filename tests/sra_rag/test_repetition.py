"""An answer that repeats itself is stopped and cut before the repetition; lists and tables are not."""

import pytest

from sra_rag import Engine, SamplingOptions
from sra_rag.generation.repetition import find_repetition
from sra_rag.generation.text import TextAssembler

LOOP = "The Customer may end the agreement by giving six months' notice. "
LISTS_AND_TABLES = {
    "quarters": "\n".join(f"Q{q} {year}: £{q}.0 million" for year in range(2018, 2026) for q in range(1, 5)),
    "empty cells": "| Segment | " + " | ".join(map(str, range(2010, 2026))) + " |\n" + "| Metering |" + " - |" * 16,
    "zeros": "\n".join(f"{name} {'0.0 ' * 10}" for name in ("Metering", "Sensing", "Analytics", "Other", "Total")),
    "rows that differ in one cell": "\n".join(f"Meter type {c}: not available in this region" for c in "ABCDEFGHIJ"),
    "yes and no": "\n".join(f"{n}. {'Yes' if n % 3 else 'No'}" for n in range(1, 31)),
    "same unit": "; ".join(f"{name}: 24 hours" for name in ("alpha", "beta", "gamma", "delta", "epsilon")),
    "clauses": (
        "(a) the Supplier shall notify the Customer within ten Business Days of each renewal;\n"
        "(b) the Supplier shall notify the Customer within 24 hours of each breach;\n"
        "(c) the Supplier shall notify the Customer within six months of each extension."
    ),
    "two currencies": "Revenue was £612.6 million and revenue in 2024 was £580.3 million. Profit before tax was £60.9 "
    "million and profit before tax in 2024 was £55.1 million.",
    "months": "\n".join(
        f"**{month}**: rent GBP 2,400, service charge GBP 180, total GBP 2,580"
        for month in ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
    ),
    "risks": "\n".join(
        f"Does the policy cover {risk}? Yes, up to GBP 5,000 a year, if it is reported within 14 days."
        for risk in ["fire", "theft", "flood", "storm", "hail", "frost", "vandalism", "lightning"]
    ),
    "csv": "\n".join(f"2025-0{m},Metering,GBP,0,0,0,0" for m in range(1, 10)),
}


def write(tokenizer, text):
    """Assemble a text token by token, as an engine does, until it is stopped."""
    assembler = TextAssembler(tokenizer, stop_repetition=True)
    pieces = []
    for token in tokenizer(text, add_special_tokens=False).input_ids:
        pieces.append(assembler.add(token))
        if assembler.stopped:
            break
    pieces.append(assembler.finish())
    assert "".join(pieces) == assembler.text  # what was streamed is the answer
    return assembler


@pytest.mark.parametrize("name", LISTS_AND_TABLES)
def test_lists_and_tables_are_not_cut(tiny, name):
    assembler = write(tiny.tokenizer, LISTS_AND_TABLES[name])
    assert not assembler.repeated
    assert assembler.text == LISTS_AND_TABLES[name]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (LOOP * 5, LOOP.strip()),
        ("It is 5 pounds. " + LOOP * 5, "It is 5 pounds. " + LOOP.strip()),
        ("the fee of the fee of the month " + "and the fee of the supplier " * 12, None),
        ("\n".join(f"{n}. The Supplier keeps records." for n in range(1, 14)), "1. The Supplier keeps records."),
        ("0 " * 200, "0"),
        ("\u79df\u91d1\u6bcf\u6708\u652f\u4ed8\u3002" * 60, "\u79df\u91d1\u6bcf\u6708\u652f\u4ed8\u3002"),
        ("It is due. " + "- - " * 200, None),
        ("\n".join(f"Step {n}: Press the power button and wait for the light." for n in range(1, 40)), None),
        ("The law of England and Wales governs it. " * 6, "The law of England and Wales governs it."),
    ],
)  # fmt: skip
def test_a_loop_is_cut_before_the_repetition(tiny, text, kept):
    assembler = write(tiny.tokenizer, text)
    assert assembler.repeated
    if kept is not None:
        assert assembler.text.rstrip() == kept
    assert len(assembler.text) < len(text) / 3


def test_a_sentence_that_returns_between_new_text_is_not_cut_until_nothing_is_new():
    again = "the lost-time injury rate rose to 0.31 per 100,000 hours worked in the year"
    text = f"In 2025 {again}. Nobody was hurt badly. As said, {again}. The board regrets it. To be clear, {again}"
    assert not find_repetition(text).loops
    links = ("And", "Also", "So", "Then", "Thus", "Again", "Still")
    found = find_repetition(" ".join([f"{text}.", *(f"{link} {again}." for link in links)]))
    assert found.loops


def test_a_heading_that_a_filing_says_three_times_is_not_cut():
    heading = "As Reported Exchange Rate Effect (1) At Prior Year Rates (2) "
    assert not find_repetition(f"Year Ended December 31, 2015 2016 2017\n{heading * 3}").loops
    tables = "\n".join(
        f"{name}\nYear ended December 31 (in millions, except per share data) of the {name} segment\n2022 2021 2020\n"
        f"Revenue {n}10 {n}20 {n}30\nGross profit {n}1 {n}2 {n}3\nGross margin {n} % {n} % {n} %"
        for n, name in enumerate(("Digital Media", "Digital Experience", "Publishing", "Advertising"), 1)
    )
    assert not any(
        find_repetition(tables[:end]).loops for end in range(80, len(tables)) if find_repetition(tables[:end])
    )


def test_a_new_word_ends_what_is_held():
    assert find_repetition("the fee is due on the fee").start == len("the fee is due on ")
    assert find_repetition("the fee is due on the feeling") is None


def test_an_engine_reports_it_and_streams_what_it_returns(tiny, monkeypatch):
    """The tiny model repeats one token for ever where its logits are biased to it."""
    ids = tiny.tokenizer(LOOP, add_special_tokens=False).input_ids
    length = {}

    def loop(module, arguments, keywords, output):
        position = int(keywords["cache_position"][-1]) if keywords.get("cache_position") is not None else None
        if position is None:
            position = output.past_key_values.get_seq_length() - 1
        length.setdefault("prompt", position)
        output.logits[:, -1] = -1e9
        output.logits[:, -1, ids[(position - length["prompt"]) % len(ids)]] = 0
        return output

    handle = tiny.model.register_forward_hook(loop, with_kwargs=True)
    try:
        engine = Engine(tiny, options=SamplingOptions(max_new_tokens=120), max_prefixes=0)
        generation = engine.generate("When may it end?")
        length.clear()
        free = engine.generate("When may it end?", stop_repetition=False)
        length.clear()
        *deltas, last = engine.stream("When may it end?")
    finally:
        handle.remove()
    assert generation.finish_reason == "repetition"
    assert generation.text == LOOP
    assert generation.usage.completion_tokens < 60
    assert free.finish_reason == "length"
    assert free.text.count(LOOP.strip()) > 5
    assert "".join(delta.text for delta in [*deltas, last]) == last.generation.text == generation.text


def test_a_reply_of_a_server_is_cut_too(tiny):
    from openai.types import Completion
    from vllm_sra.client.served_reply import Reply

    from sra_rag.generation.request import read_request

    engine = Engine(tiny)
    request = read_request(
        ["When may it end?"], {}, encode=engine.encode, sra=None, options=SamplingOptions(), context_window=1000
    )
    reply = Reply("http://server", request.prompts[0], request)
    shown = ""
    for word in (LOOP * 5).split(" "):
        choice = {"index": 0, "text": f"{word} ", "finish_reason": None, "logprobs": None}
        head = {"id": "1", "created": 0, "model": "m", "object": "text_completion"}
        shown += reply.add(Completion.construct(**head, choices=[choice]))  # as the client builds what it receives
        if reply.repeated:
            break
    shown += reply.finish()
    generation = reply.complete()
    assert generation.finish_reason == "repetition"
    assert generation.text == shown
    assert shown.strip() == LOOP.strip()
