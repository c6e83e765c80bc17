"""What the commands write about an answer, and about the difference of two."""

import dataclasses

import pytest
from sra_pipelines.answering.answers import Answer, PassageEvidence, Retrieval
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import check_support
from sra_pipelines.commands.terminal import Reporter, describe
from sra_pipelines.values import Passage

from sra_rag import SRAConfig
from sra_rag.generation.result import Generation, Timing, Usage

PASSAGES = tuple(Passage("lease", page, str(page + 1), "The rent is 5 pounds.") for page in (0, 0, 2))


def answer(text, *, cached=0, prefill=2.0, decode=3.0, tokens=4, reason="stop", citations=(), passages=PASSAGES):
    generation = Generation(text, reason, Usage(100, tokens, cached), Timing(prefill, decode), (), None, 90)
    return Answer("What?", text, citations, passages, generation, check_support(text, "What?", passages))


def written(capsys, reported):
    Reporter(streaming=False).answer(iter([reported.text, reported]), Retrieval("What?", PASSAGES, ""))
    return capsys.readouterr().out


def test_an_answer_without_sources_shows_the_passages_that_were_read(capsys):
    out = written(capsys, answer("The rent is 9 pounds."))
    assert "no sources: the passages do not support the answer; passages read: lease, page 1; lease, page 3\n" in out
    cited = written(capsys, answer("The rent is 5 pounds.", citations=(Citation("lease", 0, "1", 1.0, "5 pounds"),)))
    assert "  sources: lease, page 1\n" in cited
    assert "passages read" not in cited


def test_a_non_answer_about_something_else_says_so(capsys):
    wrong = dataclasses.replace(answer("The rent is 5 pounds."), abstained="not about the question")
    out = written(capsys, wrong)
    assert "The documents probably do not say." in out
    assert "  no sources; passages read: lease, page 1; lease, page 3\n" in out
    Reporter(streaming=False).in_brief("off", wrong)
    assert capsys.readouterr().out.startswith(
        "off: The documents probably do not say. (The model wrote: The rent is 5 pounds.)\n"
    )
    Reporter(streaming=False).in_brief("off", dataclasses.replace(answer("Otters."), abstained="nothing supported"))
    assert capsys.readouterr().out.startswith(
        "off: The documents do not say. (The model wrote, without support: Otters.)"
    )


def test_numbers_that_could_not_be_read_are_named(capsys):
    assert "  not checked, because it could not be read: 4.2.7\n" in written(capsys, answer("It is number 4.2.7."))


def test_why_an_answer_was_stopped_is_said(capsys):
    assert "decode 3.0 s; stopped at the token limit\n" in written(capsys, answer("It is 5.", reason="length"))
    assert "decode 3.0 s; stopped because the answer repeated itself\n" in written(
        capsys, answer("It is 5.", reason="repetition")
    )


def test_a_streamed_answer_is_followed_by_its_sources_without_empty_lines(capsys):
    reported = answer("It is 5.")
    pieces = ["It", " is\n", "\n5.", "\n", "\n ", reported]
    Reporter(streaming=True).answer(iter(pieces), Retrieval("What?", PASSAGES, ""))
    assert capsys.readouterr().out.startswith("It is\n\n5.\n  no sources")


def test_the_best_line_of_the_evidence_takes_one_line(capsys):
    seen = PassageEvidence(0.75, "Jonas Reuter.\nSalary", True), PassageEvidence(0.15, "", False)
    looked = dataclasses.replace(answer("It is 5."), evidence=(*seen, seen[1]))
    assert "  evidence: lease, page 1 (75% of the look): Jonas Reuter. Salary\n" in written(capsys, looked)


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ("It is 5 pounds.", "It is  5 pounds.", "the answers are the same"),
        ("It is 5 pounds.", "It is 9 pounds.", "the answers differ: '5' became '9'"),
        ("It is 5 pounds a year.", "It is 5 pounds.", "the answers differ: 'pounds a year.' became 'pounds.'"),
        ("It is 5 pounds.", "Otters swim in rivers", "the answers differ throughout"),
    ],
)
def test_a_comparison_shows_what_differs(capsys, first, second, line):
    Reporter(streaming=False).comparison(answer(first), answer(second))
    assert capsys.readouterr().out.splitlines()[0] == line


def test_times_are_compared_only_where_both_answers_did_the_same_work(capsys):
    Reporter(streaming=False).comparison(answer("a"), answer("b", prefill=3.0, decode=6.0))
    assert capsys.readouterr().out.splitlines()[1] == (
        "time of the second answer relative to the first: 2.00x per generated token, 1.50x until the first token"
    )
    Reporter(streaming=False).comparison(answer("a"), answer("b", prefill=0.1, decode=3.0, cached=90))
    line = capsys.readouterr().out.splitlines()[1]
    assert "1.00x per generated token" in line
    assert "until the first token not compared: the second answer reused 90 more tokens" in line
    assert "0.05x" not in line


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"weight": 4}, "evidence of weight 4 on the passage in all heads"),
        ({"weight": 1, "others": 16}, "evidence, other passages count 16 times less in all heads"),
        ({"weight": 4, "others": 2, "heads": 40},
         "evidence of weight 4 on the passage, other passages count 2 times less in 40 heads"),
    ],
)  # fmt: skip
def test_settings_are_described_by_what_they_weigh(evidence, words):
    assert describe(SRAConfig(alpha=0, evidence=evidence)) == f"with reattention ({words})"
