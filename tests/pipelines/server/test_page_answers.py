"""What the page makes of an answer: its parts, its bars, its Markdown, and no markup but that of the templates."""

import dataclasses
import re

import pytest
from sra_pipelines.answering.answers import Answer, PassageEvidence
from sra_pipelines.checks.citations import Citation, cite
from sra_pipelines.checks.support import check_support
from sra_pipelines.server.page.answer_parts import answer_parts, evidence_bars, settings_text
from sra_pipelines.server.page.conversations import LiveTurn
from sra_pipelines.server.page.export import answer_markdown, conversation_markdown
from sra_pipelines.server.page.rendering import render
from sra_pipelines.server.page.suggestions import suggested_questions
from sra_pipelines.server.page.turns import Column, Turn
from sra_pipelines.values import Passage

from sra_rag.config import SRAConfig
from sra_rag.generation.result import Generation, Timing, Usage
from tests.pipelines.server.page_client import text_of, tree_of

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;${alert(3)}{{4}}</mark></details>'
RENT = "The rent is 82,400 crowns a year."
BOATS = "Boats are kept in the northern dock."


def passage(text, page=0, document="lease", section=""):
    return Passage(document, page, str(page + 1), text, 0.0, section, 0, len(text))


PASSAGES = (passage(RENT), passage(BOATS, page=4))


def answer(text, passages=PASSAGES, **changes):
    generation = Generation(text, "stop", Usage(1234, 5), Timing(1.0, 2.0), (), None, 0)
    question = "What is the rent?"
    supported = check_support(text, question, passages)
    citations = tuple(cite(text, question, passages))
    return Answer(question, text, citations, passages, generation, supported, **changes)


def shown(answer, sra=None, **changes):
    turn = dataclasses.replace(
        Turn(answer.question, (Column(sra, answer.text, answer),), "done", answer.passages, 0, 1.0), **changes
    )
    return tree_of(render("turn.html", base="/page", name="n", live=LiveTurn(0, turn)))


def test_the_parts_are_the_text_and_each_citation_is_at_its_sentence():
    text = "The rent is 82,400 crowns a year. Boats are kept in the northern dock. Lunch is at noon."
    whole = dataclasses.replace(
        answer(text),
        citations=(Citation("lease", 0, "1", 1.0, RENT, 0, len(RENT)), Citation("lease", 4, "5", 0.9, BOATS, 0, 9)),
    )
    parts = answer_parts(whole)
    assert "".join(part.text for part in parts) == text
    assert [(part.kind, part.number or part.text) for part in parts] == [
        ("text", "The rent is 82,400 crowns a year."), ("citation", 1),
        ("text", " Boats are kept in the northern dock."), ("citation", 2),
        ("text", " Lunch is at "), ("unsupported", "noon"), ("text", "."),
    ]  # fmt: skip


def test_a_sentence_over_two_lines_has_one_citation_and_every_citation_has_a_place():
    text = "Boats are kept\nin the northern dock."
    assert [part.kind for part in answer_parts(answer(text))].count("citation") == 1
    odd = dataclasses.replace(
        answer("Something else. Ask at the northern dock."), citations=(Citation("x", 0, "1", 0.3, BOATS),)
    )
    assert [part.text or part.number for part in answer_parts(odd)] == ["Something else. Ask at the northern dock.", 1]
    empty = dataclasses.replace(answer(""), citations=(Citation("x", 0, "1", 0.3, BOATS),))
    assert [part.kind for part in answer_parts(empty)] == ["citation"]


def test_unsupported_amounts_are_marked_in_the_page_and_in_markdown():
    text = "The rent is 82,400 crowns, or 7,000 a month & more."
    tree = shown(answer(text))
    assert [mark.split(" (")[0] for mark in text_of(tree, "unsupported")] == ["7,000", "Underlined"]
    assert "none of the passages" in tree.text_content()
    assert "7,000 (not in the passages)" in answer_markdown(answer(text))
    assert not shown(answer("The rent is 82,400 crowns.")).find_class("unsupported")


@pytest.mark.parametrize("why", ["nothing found", "model says so", "nothing supported", "not about the question"])
def test_a_non_answer_has_a_notice(why):
    assert "Not an answer." in shown(answer("I do not know.", abstained=why)).text_content()
    assert "Not an answer." not in shown(answer("It is 82,400 crowns.")).text_content()


def test_bars_are_on_one_scale_with_the_best_line():
    looked = (PassageEvidence(0.1, "[lease, page 1]", False), PassageEvidence(0.4, BOATS, True))
    bars = evidence_bars(answer("It is 82,400.", evidence=looked))
    assert [(bar.length, bar.line, bar.weighed) for bar in bars] == [(0.25, "", False), (1.0, BOATS, True)]
    assert (bars[1].start, bars[1].end) == (0, len(BOATS))
    tree = shown(answer("It is 82,400.", evidence=looked))
    assert [float(rect.get("width")) for rect in tree.iter("rect")] == [25.0, 100.0]
    assert "more weight on lease, page 5" in tree.text_content()
    assert "40% \u00b7 more weight" in tree.text_content()
    assert evidence_bars(answer("It is 82,400.")) == []
    zero = tuple(dataclasses.replace(look, share=0.0, weighed=False) for look in looked)
    assert [bar.length for bar in evidence_bars(answer("It is 82,400.", evidence=zero))] == [0.0, 0.0]


def test_settings_tokens_and_times_are_in_the_details():
    details = shown(answer("It is 82,400.")).find_class("cost")[0].text_content()
    assert "Without reattention" in details
    assert "1,234 of the prompt" in details
    assert settings_text(SRAConfig(alpha=0.4, rows="generated")) == "With reattention (alpha 0.4, rows generated)"
    assert settings_text(SRAConfig(alpha=0)) == "Without reattention"
    fewer = SRAConfig(alpha=0, evidence={"weight": 1, "others": 16})
    assert settings_text(fewer) == "With reattention (evidence, other passages count 16 times less)"
    both = SRAConfig(alpha=0, evidence={"weight": 4, "others": 2})
    assert settings_text(both) == "With reattention (evidence, weight 4, other passages count 2 times less)"


def test_nothing_from_outside_becomes_markup():
    """Names, labels, headings, questions, answers, quotes and errors that are HTML stay text."""
    looks = (PassageEvidence(1.0, EVIL, True),)
    evil = answer(EVIL, (passage(EVIL, document=EVIL, section=EVIL),), abstained="model says so", notes=(EVIL,))
    evil = dataclasses.replace(
        evil, question=EVIL, evidence=looks, citations=(Citation(EVIL, 0, EVIL, 1.0, EVIL, 0, 9),)
    )
    trees = [
        shown(evil, error=EVIL, stopped=True),
        shown(evil, columns=(Column(None, EVIL), Column(SRAConfig(), EVIL, evil))),
    ]
    row = {"name": EVIL, "pages": 1, "state": EVIL, "uploaded": True}
    trees.append(tree_of(render("documents.html", base="/page", documents=[row])))
    trees.append(tree_of(render("empty.html", base="/page", documents=[row], questions=[EVIL])))
    trees.append(tree_of(render("no_picture.html", problem=EVIL)))
    page = {"label": EVIL, "text": EVIL}
    trees.append(tree_of(render("source.html", base="/page", document=EVIL, pages=[page], page=0, shown=page, start=3,
                                end=9, quote=(0, 3, 9), pictured=True)))  # fmt: skip
    allowed = {"div", "article", "section", "h2", "h3", "p", "details", "summary", "mark", "span", "strong", "ul", "ol",
               "li", "button", "svg", "rect", "dl", "dt", "dd", "q", "label", "input", "em"}  # fmt: skip
    for tree in trees:
        assert {element.tag for element in tree.iter()} <= allowed
        for element in tree.iter():
            assert not [name for name in element.attrib if name.startswith("on") or name in ("style", "src", "href")]
    assert sum(tree.text_content().count(EVIL) for tree in trees) >= 12
    assert "\\<script\\>" in conversation_markdown([Turn(EVIL, (Column(None, EVIL, evil),))])
    assert not re.search(r"(?<!\\)<", conversation_markdown([Turn(EVIL, (Column(None, EVIL, evil),), error=EVIL)]))


def test_questions_to_start_with_are_about_sections_of_different_documents():
    long = "3. A heading that has far too many words to be of use"
    plan = ["1. Contents", "2.1 Harbour works", long, "\u00a7\u00a7 4"]
    passages = [passage("a", document="plan", section=section) for section in plan]
    passages += [passage("b", document="tariff", section=section) for section in ("SERVICE FEES", "")]
    assert suggested_questions(passages) == [
        "What does plan say about \u201cHarbour works\u201d?", "What does tariff say about \u201cService fees\u201d?",
    ]  # fmt: skip
    many = [passage("x", document="long", section=f"Part {'abcdefghi'[n]} works") for n in range(9)]
    assert len(set(suggested_questions(many))) == 3
    assert suggested_questions([]) == []


def test_markdown_numbers_the_sources():
    text = answer_markdown(answer("The rent is 82,400 crowns a year."))
    assert text.startswith("The rent is 82,400 crowns a year. \\[1\\]\n\n")
    assert text.endswith("1. lease, page 1: \u201cThe rent is 82,400 crowns a year.\u201d")
