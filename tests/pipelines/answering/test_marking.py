"""Marks in an answer that comes piece by piece are those of the whole answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.marking import mark_as_it_comes
from sra_pipelines.checks.support import check_support, mark_unsupported
from sra_pipelines.commands.terminal import Reporter
from sra_pipelines.values import Passage

from sra_rag.generation.result import Generation, Timing, Usage

PASSAGE = Passage("report", 0, "1", "Revenue was $1,234.5 million in 2024, up 12% since 5 March 2021.")
FOUND = Retrieval("What was revenue?", (PASSAGE,), PASSAGE.text)
ANSWERS = (
    "Revenue was $1,234.5 million, up 13 per cent since 6 March 2021, and (77.2) thousand was lost.",
    "1. Revenue: 1,234.5 million [report of 2019 and 2018 with a long name, page 31]\n2. Costs: 8.75 billion",
    "On September 30, 2023 it was 99. On 2024-02-03 it was 12%; see page 4 of [an open bracket with 5 in it",
    "It ended on the twenty-third day of September, 2026, after eighty-two thousand five hundred and six sechs Monate.",
    "\u8cbb\u7528\u306f\u767e\u516d\u5341\u4e07\u5186\u3067\u3059\u3002 Half a million, minus 5,000-",
    "It is twelve and three quarters per cent.",
    "On Tuesday at half past seven, in Q4, 82 thousand five hundred cost zero cents; two out of seven, E3, 3rd.",
    "7",
    "",
)
WORDS = st.sampled_from(
    [
        "12",
        "13%",
        "per cent",
        "(5",
        ")",
        "$",
        "-",
        "6 March",
        "2021",
        "minus",
        "third",
        "day of",
        "twelve",
        "and a half",
        "drei",
        "Monate",
        "\u516d",
        "\u304b\u6708",
        "-",
        ".5",
        ",000",
        "million",
        "[",
        ", page 3]",
        "\n",
        "a",
        *("Tuesday", "Q4", "first half", "half past", "to", "pm", ":30", "h 15", "nil", "zero", "0", "dozen", "fourth"),
        *("hours", "2/3", "out of", "thirds", "within", "week", "thousand", "E3", "version", "Chapter IV", "cents"),
    ]
)


def whole(text):
    return mark_unsupported(text, check_support(text, FOUND.question, FOUND.passages))


@pytest.mark.parametrize("text", ANSWERS)
@pytest.mark.parametrize("length", [1, 2, 3, 7, 200])
def test_pieces_are_marked_as_the_whole_is(text, length):
    pieces = [text[i : i + length] for i in range(0, len(text), length)]
    assert "".join(mark_as_it_comes(pieces, FOUND)) == whole(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=40), st.sampled_from(["", " "]), st.integers(1, 9))
def test_whatever_is_written(words, seam, length):
    text = seam.join(words)
    pieces = [text[i : i + length] for i in range(0, len(text), length)]
    assert "".join(mark_as_it_comes(pieces, FOUND)) == whole(text)


def test_the_terminal_shows_the_same_streamed_and_whole(capsys):
    answer = Answer(
        FOUND.question, ANSWERS[0], (), FOUND.passages,
        Generation(ANSWERS[0], "stop", Usage(9, 9), Timing(0.1, 0.1), (), None, 0),
        check_support(ANSWERS[0], FOUND.question, FOUND.passages),
    )  # fmt: skip
    shown = []
    for streaming in (True, False):
        assert Reporter(streaming).answer(iter([*ANSWERS[0], answer]), FOUND) is answer
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "13 per cent[?]" in shown[0]
    assert "million[?]" not in shown[0]


def test_text_comes_before_the_end():
    came = list(mark_as_it_comes(list(ANSWERS[0]), FOUND))
    assert len(came) > 10
    assert "13 per cent[?]" in "".join(came)
