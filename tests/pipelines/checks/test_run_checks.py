"""Checks take no answer away: where they have no room or time left, a note says so."""

import dataclasses
from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.checks.run_checks import run_checks
from sra_pipelines.checks.support import check_support

from sra_rag import Engine, SamplingOptions
from sra_rag.generation.result import Timing

QUESTION = "What is the difference between the two fares of the ferry?"
TEXT = "The ferry costs 12 crowns for residents of the island and 31 crowns for everybody else who comes aboard."


@pytest.fixture
def index(embedding):
    return DocumentIndex([Document(Path("fares.pdf"), (Page(0, "1", TEXT),))], embedding)


def test_no_room_for_a_second_prompt(index, tiny):
    wide = DocumentQA(index, Engine(tiny), preset="financial")
    prompt = len(wide.engine.encode(wide.retrieve(QUESTION).messages()).token_ids)
    narrow = Engine(tiny, context_window=prompt + 20, options=SamplingOptions(max_new_tokens=10))
    answer = DocumentQA(index, narrow, preset="financial").ask(QUESTION)
    assert answer.text
    assert answer.calculation is None
    assert "nothing was computed: the passages leave no room in the context window" in answer.notes


@pytest.mark.parametrize("of_the_request", [True, False])
def test_no_time_for_a_second_prompt(index, tiny, of_the_request):
    limit = {"timeout": 60.0}
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=4, **({} if of_the_request else limit)))
    qa = DocumentQA(index, engine, preset="financial")
    found = qa.retrieve(QUESTION)
    taken = dataclasses.replace(engine.generate(found.messages()), timing=Timing(59.0, 1.0))
    notes, calculation = run_checks(
        qa.preset.checks, engine, found, taken, (), check_support(taken.text, QUESTION, found.passages), {},
        **(limit if of_the_request else {}),
    )  # fmt: skip
    assert calculation is None
    assert "nothing was computed: the request timed out" in notes


def test_rows_of_a_table_that_is_no_statement_are_still_computed(embedding, tiny):
    table = "\u00a3 million 2025 2024\nRevenue 518.2 472.9\nCost of sales 301.4 280.0"
    index = DocumentIndex([Document(Path("sheet.pdf"), (Page(0, "1", table),))], embedding)
    qa = DocumentQA(index, Engine(tiny, options=SamplingOptions(max_new_tokens=4)), preset="financial")
    answer = qa.ask("By how much did revenue change from 2024 to 2025?")
    assert answer.calculation.text == "518.2 - 472.9 = 45.3 (\u00a3 million)"
    assert not any(note.startswith("not computed") for note in answer.notes)
