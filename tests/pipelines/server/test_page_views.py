"""The page's HTML: markup is the page's own, never that of documents, models or people."""

import dataclasses
import re

import pytest
from lxml import html
from sra_pipelines.answering.answers import Answer
from sra_pipelines.checks.citations import Citation, cite
from sra_pipelines.checks.support import check_support
from sra_pipelines.server.page.compared_answers import Column, Turn
from sra_pipelines.server.page.views import (
    answer_view,
    attention_view,
    citation_view,
    notice_view,
    turn_view,
    upload_view,
)
from sra_pipelines.values import Passage

from sra_rag.config import SRAConfig
from sra_rag.generation.result import Generation, Timing, Usage

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;${alert(3)}{{4}}</mark></details>'
PAGE = f"{EVIL}\nThe rent is 82,400 crowns a year.\n{EVIL}"
AT = PAGE.index("The rent")
QUOTE = "The rent is 82,400 crowns a year."


def passage(text=PAGE, label="1", document="lease"):
    return Passage(document, 0, label, text, 0.0, "", 0, len(text))


def answer(text, passages=None, **changes):
    passages = (passage(),) if passages is None else passages
    generation = Generation(text, "stop", Usage(10, 5), Timing(1.0, 2.0), (), None, 0)
    supported = check_support(text, "What is the rent?", passages)
    return Answer("What is the rent?", text, (), passages, generation, supported, **changes)


def tags(view):
    return {element.tag for element in html.fragment_fromstring(view, create_parent="div").iter()}


def text_of(view):
    return html.fragment_fromstring(view, create_parent="div").text_content()


def test_a_citation_opens_on_its_page_with_the_span_marked():
    view = citation_view(Citation("lease", 0, "1", 1.0, QUOTE, AT, AT + len(QUOTE)), PAGE)
    tree = html.fragment_fromstring(view)
    [mark] = tree.iter("mark")
    assert mark.text_content() == QUOTE
    assert tree.find("div").text_content() == PAGE
    assert tree.find("summary").text_content() == "lease, page 1"


def test_what_cite_finds_is_what_is_marked():
    [citation] = cite("It is 82,400 crowns.", "What is the rent?", [passage()])
    [mark] = html.fragment_fromstring(citation_view(citation, PAGE)).iter("mark")
    assert mark.text_content() == citation.quote
    assert "82,400" in citation.quote


@pytest.mark.parametrize("page", [None, "", "Another text altogether, which is longer than it was before." * 9])
def test_a_page_that_changed_is_not_marked(page):
    view = citation_view(Citation("lease", 0, "1", 1.0, QUOTE, AT, AT + len(QUOTE)), page)
    assert "mark" not in tags(view)
    assert "has changed" in text_of(view)
    assert QUOTE in text_of(view)


def test_nothing_from_outside_becomes_markup():
    ours = {"div", "article", "section", "h3", "h4", "h5", "p", "details", "summary", "mark", "span", "sup", "strong"}
    ours |= {"ul", "li", "blockquote"}
    evil = answer(EVIL, (passage(document=EVIL, label=EVIL),), attention=(0.5,), abstained="model says so")
    evil = dataclasses.replace(
        evil, citations=(Citation(EVIL, 0, EVIL, 1.0, QUOTE, AT, AT + len(QUOTE)), Citation(EVIL, 0, EVIL, 1.0, EVIL))
    )
    columns = (Column(None, EVIL), Column(SRAConfig(), EVIL, evil))
    view = turn_view(Turn(EVIL, columns, EVIL, EVIL), lambda *_: PAGE)
    view += notice_view(EVIL)
    assert tags(view) <= ours
    attributes = {
        name for element in html.fragment_fromstring(view, create_parent="div").iter() for name in element.attrib
    }
    assert attributes <= {"class", "role", "tabindex", "aria-label", "aria-hidden", "style"}
    assert text_of(view).count(EVIL) >= 10


def test_unsupported_figures_are_marked():
    view = answer_view(answer("The rent is 82,400 crowns, or 7,000 a month & more."))
    marked = re.findall(r'sra-unsupported">([^<]*)<', view)
    assert marked == ["7,000"]
    assert "stands in none of the passages" in text_of(view)
    assert text_of(view).startswith("The rent is 82,400 crowns, or 7,000[?] a month & more.")
    assert "[?]" not in answer_view(answer("The rent is 82,400 crowns."))
    around = answer_view(answer("<b>It</b> is 7,000 <b>crowns</b>."))
    assert "7,000<sup>" in around
    assert "b" not in tags(around)


@pytest.mark.parametrize("why", ["nothing found", "model says so", "nothing supported"])
def test_an_abstention_says_so(why):
    assert "No answer." in text_of(answer_view(answer("I do not know.", abstained=why)))
    assert "No answer." not in text_of(answer_view(answer("It is 82,400 crowns.")))


def test_bars_and_their_numbers():
    passages = (passage(label="3"), passage(label="7"))
    view = attention_view(answer("It is 82,400.", passages, attention=(0.1, 0.25)))
    assert re.findall(r"width:([\d.]+)%", view) == ["40.0", "100.0"]
    assert re.search(r"page 3\s*10\.0%.*page 7\s*25\.0%.*other 65\.0%", text_of(view))
    assert attention_view(answer("It is 82,400.")) == ""
    assert "width:0.0%" in attention_view(answer("It is 82,400.", attention=(0.0,)))


def test_side_by_side_names_the_settings():
    columns = (Column(None, "a", answer("a")), Column(SRAConfig(alpha=0.4, rows="generated"), "b"))
    said = text_of(turn_view(Turn("Q?", columns), lambda *_: None))
    assert "Without reattention" in said
    assert "alpha 0.4, rows generated" in said


def test_the_upload_field_names_its_formats_and_its_limit():
    view = html.fragment_fromstring(upload_view([".md", ".txt"], 1000), create_parent="div")
    [field] = view.iter("input")
    assert dict(field.attrib) == {
        "type": "file", "multiple": "multiple", "accept": ".md,.txt", "data-most-bytes": "1000",
    }  # fmt: skip
    assert [element.get("role") for element in view.iter("ul")] == ["status"]
