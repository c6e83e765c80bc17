"""What the vocabulary adds to a question, what it leaves alone, and the statements in the context."""

import dataclasses
from pathlib import Path

import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.chosen_documents import DocumentChoice
from sra_pipelines.checks.citations import cite
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.presets import load_preset
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.retrieval.placing import needed_statements
from sra_pipelines.retrieval.relevant_rows import GAP, select_rows
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.retrieval.revision import Revision
from sra_pipelines.retrieval.topic_fusion import TopicSettings, about
from sra_pipelines.retrieval.vocabulary import Expansion, VocabularyEntry, expand
from sra_pipelines.structure.document_structure import DocumentStructure
from sra_pipelines.structure.page_kinds import PageKind
from sra_pipelines.values import Document, Page, Passage

from sra_rag.errors import ConfigError

TEXTS = Path(__file__).parents[1] / "structure"
FILING = (TEXTS / "filing.txt").read_text(encoding="utf-8").split("\n\f\n")
CONTRACT = (TEXTS / "contract.txt").read_text(encoding="utf-8")
INCOME, BALANCE, CONTINUED, CASH = 4, 5, 6, 7
MARGIN = "Does Orrin Ferries have an improving gross margin profile?"
DEFAULT = load_preset("general").vocabulary
ALWAYS = TopicSettings(kept=1, least_budget=0)  # statements also in small budgets
ENTRY = VocabularyEntry("margin", ("gross margins?",), ("cost of sales",), ("income_statement",))


def count(text):
    return len(text.split())


def document(name, pages):
    return Document(Path(f"/{name}.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))


@pytest.fixture(scope="module")
def filing(word_embedding):
    return DocumentIndex([document("orrin", FILING)], word_embedding, splitting=Splitting(60, 8))


@pytest.fixture(scope="module")
def shelf(word_embedding):
    """A filing and a contract."""
    documents = [document("orrin", FILING), document("lease", [CONTRACT])]
    return DocumentIndex(documents, word_embedding, splitting=Splitting(60, 8))


def topics(question):
    return [entry.topic for entry in expand(question, DEFAULT)]


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("What is the gross margin?", "gross margin"),
        ("What was the capex of 2023?", "capital expenditure"),
        ("Give the net PPNE at the end of the year.", "property, plant and equipment"),
        ("Has the quick ratio improved?", "liquidity ratios"),
        ("What is the DPO?", "days payable"),
        ("Is this a capital-intensive business?", "capital intensity"),
        ("What is the effective tax rate?", "income taxes"),
        ("How did top line develop?", "revenue"),
        ("Which securities are registered on a national exchange?", "listed securities"),
        ("Are there any legal battles?", "legal proceedings"),
        ("How much goodwill is there?", "goodwill and intangible assets"),
        ("How can we get out of the contract early?", "termination"),
        ("Which law governs, and which courts decide?", "governing law and disputes"),
        ("Is liability capped?", "limitation of liability"),
        ("May the tenant sublet?", "assignment"),
    ],
)
def test_questions_match_topics(question, topic):
    assert topic in topics(question)


@pytest.mark.parametrize("question", ["Who wrote the poem?", "When do tulips bloom?", "How old is the oldest ferry?"])
def test_other_questions_match_none(question):
    assert topics(question) == []


def test_whole_words_match_in_any_case():
    assert ENTRY.matches("GROSS\n  margin?")
    assert not ENTRY.matches("engross margin")
    assert "receivables" in topics("What is net AR?")
    assert "receivables" not in topics("What are these?")


def test_which_pages_a_topic_describes():
    entry = dataclasses.replace(ENTRY, pages=("note: lease|rent", "item: 1A", "balance_sheet"))
    described = [
        PageKind(0, "note", "4", "Operating Leases"), PageKind(0, "item", "1A", "Risk Factors"),
        PageKind(0, "balance_sheet"),
    ]  # fmt: skip
    others = [
        PageKind(0, "note", "5", "Releases"), PageKind(0, "item", "1", "Business"), PageKind(0, "income_statement"),
        PageKind(0, "clause", "4", "Lease"),
    ]  # fmt: skip
    assert all(map(entry.describes, described))
    assert not any(map(entry.describes, others))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"topic": " "}, "topic is empty"),
        ({"asked": ()}, "asked is empty"),
        ({"written": ("",)}, "written is empty"),
        ({"asked": ("(",)}, "not a regular expression"),
        ({"pages": ("income",)}, "unknown kind of page 'income'. Use income_statement"),
        ({"pages": ("note",)}, "need a title"),
        ({"pages": ("balance_sheet: assets",)}, "need a title"),
        ({"documents": ("novel",)}, "Use filing, contract"),
        ({"language": "de"}, "unknown language 'de'. Use english, german"),
    ],
)
def test_what_an_entry_must_not_say(changes, expected):
    with pytest.raises(ConfigError, match=expected):
        dataclasses.replace(ENTRY, **changes)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Welche Kaution wurde vereinbart?", ["Sicherheit"]),
        ("Wie hoch ist die Eigenkapitalquote von Brenner?", ["Eigenkapital"]),
        ("Quel est le préavis pour le bail ?", ["durée et renouvellement"]),
        ("Quelle est la marge brute du groupe ?", ["marge brute"]),
        ("Which real image is the copy of an object?", []),  # "image" is a word of the French topic for data
        ("What is the segment profit of Flow Analytics?", ["segments"]),
        ("When does the force majeure clause expire?", ["term and renewal", "force majeure"]),
    ],
)
def test_topics_of_other_languages_are_for_questions_in_these_languages(question, expected):
    assert sorted(topics(question)) == sorted(expected)


def test_a_question_without_a_topic_is_searched_as_without_vocabulary(filing):
    for question in ("How old is the oldest ferry?", "Who rents quays in Orrin?"):
        assert topics(question) == []
        with_it, without = Retriever(filing), Retriever(filing, vocabulary=())
        assert with_it.search(question) == without.search(question)
        assert with_it.retrieve(question, 120, count) == without.retrieve(question, 120, count)
        assert with_it.expansion(question) is None


def test_a_matching_question_changes_nothing_where_no_document_is_of_the_type(word_embedding):
    index = DocumentIndex([document("notes", ["The gross margin of tulips.", "Ferries sail."])], word_embedding)
    assert Retriever(index).search(MARGIN) == Retriever(index, vocabulary=()).search(MARGIN)
    assert Retriever(index).expansion(MARGIN) is None


def test_the_phrases_of_a_topic_are_embedded_once_for_all_indexes(word_embedding):
    class Counting(type(word_embedding)):
        texts: list[str] = []  # noqa: RUF012 - pydantic copies it for each model

        def _get_text_embedding(self, text):
            self.texts.append(text)
            return super()._get_text_embedding(text)

    model = Counting(model_name="counting")
    for _ in range(2):
        Retriever(DocumentIndex([document("orrin", FILING)], model, splitting=Splitting(60, 8))).search(MARGIN)
    phrases = [entry.phrases for entry in DEFAULT if not entry.language]
    assert sorted(text for text in model.texts if text in phrases) == sorted(phrases)


def test_vocabulary_and_named_methods(filing):
    for method in ("dense", "keywords"):
        plain = Retriever(filing, method=method, vocabulary=())
        assert Retriever(filing, method=method).search(MARGIN) == plain.search(MARGIN)


def test_the_statement_comes_into_the_context(filing):
    def pages(retriever, budget):
        return {passage.page_index for passage in retriever.retrieve(MARGIN, budget, count)}

    without = Retriever(filing, vocabulary=(), whole_pages=False)
    assert INCOME not in pages(without, 90)
    assert INCOME in pages(Retriever(filing, whole_pages=False, topics=ALWAYS), 90)
    assert INCOME not in pages(Retriever(filing, whole_pages=False, topics=TopicSettings(0, 0, 0)), 90)  # 90 < 400
    [statement] = [p for p in Retriever(filing).retrieve(MARGIN, 400, count) if p.page_index == INCOME]
    assert statement.text == FILING[INCOME]


def test_all_statements_that_a_ratio_needs_come_with_their_rows(filing):
    question = "What is the asset turnover of 2023?"
    packed = Retriever(filing, topics=ALWAYS).retrieve(question, 240, count)
    texts = {passage.page_index: passage.text for passage in packed}
    assert {INCOME, BALANCE} <= set(texts)
    assert "Net sales $ 300.5 $ 275.1" in texts[INCOME]
    assert "Total assets $ 287.3 $ 278.6" in texts[BALANCE]
    for page in (INCOME, BALANCE):
        assert texts[page].split("\n")[:4] == FILING[page].split("\n")[:4]
        assert GAP in texts[page]
    assert sum(count(f"[{p.document}, page {p.page_label}]\n{p.text}") for p in packed) <= 240


def test_rows_within_a_budget(filing):
    page = Passage("orrin", INCOME, "5", FILING[INCOME], start=0, end=len(FILING[INCOME]))
    phrases = ["cost of sales", "net sales"]
    small = select_rows(page, phrases, "gross margin", 36, count)
    assert small.text.split("\n")[3:] == [
        "Years ended December 31, 2023 2022", "Net sales $ 300.5 $ 275.1", "Cost of sales (180.2) (170.4)", GAP,
    ]  # fmt: skip
    assert select_rows(page, phrases, "gross margin", 12, count) is None
    assert select_rows(page, ["tulips"], "tulips", 100, count) is None


def test_the_heading_of_selected_rows_is_found_below_a_page_number_and_with_stacked_dates():
    lines = [
        "Page 11 of 15",
        "Orrin Inc.",
        "Balance sheets",
        "(In millions)",
        "As of",
        *("May 1,", "2023") * 5,
        "Cash 5 4 3 2 1",
    ]
    page = Passage("a", 0, "1", "\n".join(lines))
    text = select_rows(page, ["cash"], "cash", 100, count).text
    assert text.split("\n") == lines


def test_a_quote_from_selected_rows_is_verified_on_its_page(filing):
    retriever = Retriever(filing, topics=ALWAYS)
    packed = retriever.retrieve("What is the asset turnover of 2023?", 240, count)
    [citation, *_] = cite("Net sales were 300.5.", "What were they?", packed, retriever.pages())
    assert citation.page_index == INCOME
    assert FILING[INCOME][citation.start : citation.end] == citation.quote == "Net sales $ 300.5 $ 275.1"


def test_what_was_added_is_in_the_answer(filing, tiny_engine):
    qa = DocumentQA(filing, tiny_engine, context_tokens=300)
    answer = qa.ask(MARGIN, max_new_tokens=2)
    assert answer.expansion.topics == ("gross margin",)
    assert "cost of sales" in answer.expansion.written
    assert answer.expansion.pages == ("income_statement",)
    assert answer.to_dict()["expansion"]["topics"] == ("gross margin",)
    assert qa.ask("How old is the oldest ferry?", max_new_tokens=2).expansion is None
    legal = DocumentQA(filing, tiny_engine, context_tokens=300, preset="legal")
    assert legal.retrieve(MARGIN).expansion is None  # a named preset brings its own vocabulary only


def test_topics_apply_to_documents_of_their_type(shelf):
    revision = Revision(shelf)
    in_filing = [passage for passage in shelf.passages() if passage.document == "orrin"]
    in_contract = [passage for passage in shelf.passages() if passage.document == "lease"]
    [financial] = expand("Is there a gross margin?", DEFAULT)
    [legal] = expand("Is there force majeure?", DEFAULT)
    for entry, own, other in ((financial, in_filing, in_contract), (legal, in_contract, in_filing)):
        assert about(entry, [*own[:2], other[0]], revision)
        assert not about(entry, [own[0], *other[:2]], revision)
        abroad = dataclasses.replace(entry, language="german")  # one of the five best is enough
        assert about(abroad, [other[0]] * 4 + own[:1], revision)
        assert not about(abroad, [other[0]] * 5 + own[:1], revision)
        by_meaning, by_words = revision.rankings(entry)
        assert {passage.document for passage in by_meaning} == {own[0].document}
        assert {passage.document for passage in by_words} <= {own[0].document}  # a short document may share no word


class Ranked:
    """An index of documents of one passage; their order is the ranking by meaning of every question."""

    revision = 0

    def __init__(self, types):
        self.types, self.limits = types, []
        self.given = [Passage(f"d{n}", 0, "1", f"The rent of quay {n}.") for n in range(len(types))]

    def passages(self):
        return self.given

    def structures(self):
        return {f"d{n}": DocumentStructure((), frozenset([own])) for n, own in enumerate(self.types)}

    def search(self, question, limit, *, phrases=()):
        self.limits.append(limit)
        return self.given[:limit]


@pytest.mark.parametrize(("every", "limits"), [(1, [100]), (3, [100, 400]), (50, [100, 400, 1600])])
def test_the_ranking_of_a_topic_is_not_one_of_all_passages_where_fewer_suffice(every, limits):
    index = Ranked(["filing" if n % every else "contract" for n in range(1000)])
    by_meaning, by_words = Revision(index).rankings(
        VocabularyEntry("rent", ("rent",), ("rent",), documents=("contract",))
    )
    contracts = index.given[::every]
    assert by_meaning == contracts[:100]
    assert by_words == contracts[::-1][:20]  # all have the same score, and the last is first then
    assert index.limits == limits


def test_chosen_documents_are_searched_with_the_same_vocabulary(shelf, tiny_engine):
    own = (ENTRY,)
    qa = DocumentQA(shelf, tiny_engine, retriever=Retriever(shelf, vocabulary=own, topics=TopicSettings(ahead=1)))
    chosen = DocumentChoice(qa).of(["orrin"]).retriever
    assert (chosen.vocabulary, chosen.topics) == (own, TopicSettings(ahead=1))


def test_an_expansion_repeats_nothing():
    joined = Expansion.of([ENTRY, dataclasses.replace(ENTRY, topic="other", written=("cost of sales", "revenue"))])
    assert joined == Expansion(("margin", "other"), ("cost of sales", "revenue"), ("income_statement",))


def test_a_follow_up_is_searched_with_the_topics_of_the_conversation(filing, tiny_engine):
    chat = Chat(DocumentQA(filing, tiny_engine, context_tokens=300), history=[(MARGIN, "It was 40%.")])
    retrieval = chat.retrieve("And in 2022?", max_new_tokens=2)
    assert retrieval.expansion.topics == ("gross margin",)
    assert INCOME in {passage.page_index for passage in retrieval.passages}


def test_no_statements_for_a_topic_that_is_not_in_them(filing):
    question = "What is the revenue by region?"
    assert {"revenue", "geography"} <= set(topics(question))
    assert needed_statements(expand(question, DEFAULT)) == []
    assert needed_statements(expand("What is the revenue?", DEFAULT)) == ["income_statement"]
    assert needed_statements(expand("What is the return on assets?", DEFAULT))[:2] == [
        "income_statement",
        "balance_sheet",
    ]


@pytest.mark.parametrize("dates", ["Years ended December 31", "At December 31", "December 31, December 31,"])
def test_shortened_statements_keep_their_columns_below_a_date_that_looks_like_a_row(dates):
    rows = [f"{row} and other {n},500 {n},400" for n, row in enumerate(("Rents", "Wages", "Fuel", "Quays"), start=1)]
    text = "\n".join(["Ferries", "Consolidated Statement", dates, "(Millions) 2018 2017", *rows])
    page = Passage("orrin", 0, "1", text, 0, len(text))
    shortened = select_rows(page, ["wages"], "What are the wages?", 40, count)
    assert shortened.text.split("\n")[:5] == ["Ferries", "Consolidated Statement", dates, "(Millions) 2018 2017", GAP]
    assert rows[1] in shortened.text
