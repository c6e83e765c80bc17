"""Line breaks that a model copies from the lines of a page do not reach the answer; those of lists and tables do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sra_pipelines.answering.line_breaks import LineJoiner, join_lines

LINE = "The evaluation was led by an outside firm, which has no other"


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        (f"{LINE}\nconnection with the company.", f"{LINE} connection with the company."),
        (f"{LINE} role in\nPellworth.\n\nIt ended.", f"{LINE} role in Pellworth.\n\nIt ended."),
        (f"{LINE}, \n2 more firms", f"{LINE}, 2 more firms"),
        (f"{LINE}.\nit ended.", None),
        (f"{LINE}\nPellworth Data Services", None),
        ("apples\npears and plums", None),
        (f"1. {LINE}:\na) one\nb) two", None),
        (f"| {LINE} |\n| a |", None),
        (f"a) {LINE}\nb) the other firm", None),
        (f"i. {LINE}\nii. the other firm\nb", None),
        (f"{LINE} interest under a\nlaw. It ends.\nb", f"{LINE} interest under a law. It ends.\nb"),
        (f"{LINE}, twenty-\nfour", f"{LINE}, twenty-four"),
        (
            "契約の期間は二〇二五年五月一日から五年間とし、書面で通知しない限り自動的に更新\nされるものとする。",
            "契約の期間は二〇二五年五月一日から五年間とし、書面で通知しない限り自動的に更新されるものとする。",
        ),
        ("契約の期間\n通知の方法", None),
        ("", None),
        ("ends with a break\n", None),
    ],
)
def test_breaks_inside_sentences_are_removed(text, joined):
    assert join_lines(text) == (text if joined is None else joined)


@given(
    st.lists(st.sampled_from([LINE, "\n", " ", "the", "a", "B", ".", ",", "1", "b)", "ii."]), max_size=30),
    st.integers(1, 7),
)
def test_pieces_give_the_same_text_as_the_whole(parts, length):
    text = "".join(parts)
    joiner = LineJoiner()
    pieces = [joiner.add(text[i : i + length]) for i in range(0, len(text), length)]
    assert "".join([*pieces, joiner.finish()]) == join_lines(text)
    assert join_lines(text).split() == text.split()
