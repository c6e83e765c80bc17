"""Definitions and parties of a contract are quoted from where it defines them; dates say where they stand."""

from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page, Passage, read_document
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.defined_terms import date_pages, find_definitions, used_terms
from sra_pipelines.checks.support import check_support
from sra_pipelines.reading.splitting import split_document
from sra_pipelines.retrieval.merging import by_page, merge_passages
from sra_pipelines.samples import sample_documents

from sra_rag.generation.result import Generation, Timing, Usage

TEXT = (
    "This lease is made between:\nHarl Shipping AB, of 2 Quay Street (the Tenant); and\nthe Port of Orrin "
    "(\u201cOwner\u201d).\nFee means 82,400 crowns, less 2.5 per cent, a\nyear.\n\u201cLate Fee\u201d shall mean a "
    "tenth of it. It (Ada Orrin) is due."
)
CITED = Citation("lease", 0, "1", 1.0)


def page(text=TEXT, document="lease"):
    return by_page([Passage(document, 0, "1", text, start=0, end=len(text))])


def test_definitions_as_they_are_written():
    assert {one.term: one.text for one in find_definitions(page(), ["lease"])} == {
        "Tenant": "Harl Shipping AB, of 2 Quay Street (the Tenant)",
        "Owner": "the Port of Orrin (\u201cOwner\u201d)",
        "Fee": "Fee means 82,400 crowns, less 2.5 per cent, a year.",
        "Late Fee": "\u201cLate Fee\u201d shall mean a tenth of it.",
    }
    assert find_definitions(page(), ["another"]) == []


@pytest.mark.parametrize("number", ["1.1 ", "2. ", "(a) ", "iv) ", "1.1.2. ", "- ", "(10) "])
def test_a_definition_may_have_a_number(number):
    [found] = find_definitions(page(f"Terms\n{number}Late Fee means a tenth of it. More."), ["lease"])
    assert (found.term, found.text) == ("Late Fee", "Late Fee means a tenth of it.")
    assert find_definitions(page(f"Terms\nNobody says {number}Late Fee means a tenth of it."), ["lease"]) == []


def test_terms_of_an_answer_are_quoted():
    assert used_terms("The Tenant pays the Late Fee.", page(), [CITED]) == [
        "'Late Fee' is defined in lease, page 1: \u201cLate Fee\u201d shall mean a tenth of it.",
        "'Tenant' is defined in lease, page 1: Harl Shipping AB, of 2 Quay Street (the Tenant)",
    ]
    assert len(used_terms("A Late Fee, and Fees.", page(), [CITED])) == 2
    assert used_terms("The fee is late.", page(), [CITED]) == []
    assert used_terms("The Tenant pays.", page(), []) == []  # no document is cited
    assert used_terms("The Tenant pays.", page(document="other"), [CITED]) == []


def test_dates_say_where_they_stand():
    passages = [Passage("lease", 0, "1", "It ends on 1 March 2030."), Passage("lease", 4, "5", "By March 1, 2030.")]
    claims = check_support("On 1 March 2030, not on 2 March 2030.", "When?", passages).claims
    assert date_pages(claims, passages) == ["1 March 2030 is in lease, page 1; lease, page 5"]


def test_the_legal_preset_says_them(tiny_engine, word_embedding):
    index = DocumentIndex([Document(Path("lease.txt"), (Page(0, "1", TEXT),))], word_embedding)
    qa = DocumentQA(index, tiny_engine, preset="legal", context_tokens=300)
    found = qa.retrieve("What is the Late Fee?")
    usage, timing = Usage(1, 1), Timing(0.0, 0.0)
    generation = Generation("The Late Fee is a tenth of the Fee.", "stop", usage, timing, (), None, 0)
    notes = qa.conclude(found, generation).notes
    assert [note.split(" is ")[0] for note in notes] == ["'Late Fee'", "'Fee'"]
    general = DocumentQA(index, tiny_engine, context_tokens=300)
    assert general.conclude(found, generation).notes == ()


@pytest.fixture(scope="module")
def agreement():
    [path] = [path for path in sample_documents() if "agreement" in path.name]
    return by_page(split_document(read_document(path)))


def test_the_sample_agreement(agreement):
    found = {one.term: one for one in find_definitions(agreement, ["services_agreement"])}
    assert found["Commencement Date"].text == "Commencement Date means 1 May 2025."
    assert found["Supplier"].text.startswith("Pellworth Data Services Limited, a company registered")
    assert found["Customer"].text.startswith("Brackenfield Utilities Limited, a company registered")
    assert "\u00a31,150,000 (the Minimum Commitment)" in found["Minimum Commitment"].text
    texts = {
        key: " ".join(" ".join(p.text for p in merge_passages(passages)).split()) for key, passages in agreement.items()
    }
    for one in found.values():
        assert any(one.text in text for (_, index), text in texts.items() if str(index + 1) == one.page_label)
