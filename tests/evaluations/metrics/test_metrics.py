"""Metrics against known values: those of SQuAD, figures with units, refusals, citations."""

import pytest
from sra_evaluations.examples import Example, document_stem
from sra_evaluations.metrics import LOWER_IS_BETTER, score
from sra_evaluations.metrics.citation_score import score_citations
from sra_evaluations.metrics.correctness import contains, exact_match, figures_match, is_amount, normalize, token_f1
from sra_evaluations.metrics.faithfulness import score_faithfulness
from sra_pipelines.values import Passage

REFUSAL = "The documents do not say."


def asked(*answers, context="The rent is 82,400 crowns.", **more):
    return Example("1", "Answer.", context, "What is the rent?", answers, **more)


@pytest.mark.parametrize(
    ("said", "gold", "match", "f1"),
    [
        # Worked by hand from the official evaluation script of SQuAD 1.1.
        ("Denver Broncos", "Denver Broncos", True, 1.0),
        ("the Denver broncos!", "Denver Broncos", True, 1.0),
        ("The Denver Broncos of Colorado", "Denver Broncos", False, 2 * (2 / 4) * 1 / (2 / 4 + 1)),
        ("Broncos", "Denver Broncos", False, 2 * 1 * 0.5 / 1.5),
        ("cat cat dog", "cat dog dog", False, 2 / 3),
        ("a an the", "the", True, 1.0),
        ("Carolina Panthers", "Denver Broncos", False, 0.0),
        ("", "Denver", False, 0.0),
        ("theatre", "atre", False, 0.0),
        ("U.S.", "us", True, 1.0),
        ("“Denver” – Broncos", '"Denver" - Broncos', True, 1.0),
    ],
)
def test_exact_match_and_f1_are_those_of_squad(said, gold, match, f1):
    assert exact_match(said, gold) is match
    assert token_f1(said, gold) == pytest.approx(f1)
    assert token_f1(gold, said) == pytest.approx(f1)


def test_normalize():
    assert normalize("  The  QUICK, brown-fox’s\n an apple. ") == "quick brownfoxs apple"


@pytest.mark.parametrize(
    ("said", "gold", "held"),
    [
        ("It was **Ada Lovelace**, in 1843.", "Ada Lovelace", True),
        ("It was Adam.", "Ada", False),
        ("Ada met Lovelace.", "Ada Lovelace", False),
        ("They say “copper-glacier-41”.", "copper-glacier-41", True),
        ("copper-glacier-410", "copper-glacier-41", False),
        ("Ada", "...", False),
        ("", "", False),
        ("A.", "A", True),
        ("It is a house.", "A", False),
    ],
)
def test_contains_minds_whole_words(said, gold, held):
    assert contains(said, gold) is held


@pytest.mark.parametrize(
    ("said", "gold", "match"),
    [
        ("It was $1,577 million.", "$1577.00", True),
        ("It was $1,592 million.", "$1577.00", True),  # within one percent
        ("It was $1,594 million.", "$1577.00", False),
        ("It was $1,562.", "$1577.00", True),
        ("It was $1,560.", "$1577.00", False),
        ("1.5 billion", "1,500 million", True),
        ("1.5 million", "1,500 million", False),
        ("1.5", "1,500 million", True),  # a table says its scale in the heading
        ("£331 thousand", "£0.331 million", True),
        ("15", "1.5 million", False),
        ("24.5%", "24.5 per cent", True),
        ("24.5 percent", "0.245", False),
        ("24.5 million", "24.5%", False),
        ("24.5", "24.5%", True),  # the question may ask for a percentage
        ("-5.2%", "5.2%", False),
        ("(5.2)", "-5.2", True),
        ("0", "0", True),
        ("0.01", "0", False),
        ("none at all", "$5", False),
        ("In 2018 it was 12.", "$1,577 in 2018", False),  # a year is no amount
        ("It was 1,577 and 3.", "$1,577 and $4", True),
        ("whatever", "2018", None),
        ("5", "Ada", None),
    ],
)
def test_figures_mind_tolerance_units_and_scale(said, gold, match):
    assert figures_match(said, gold) is match


@pytest.mark.parametrize(
    ("gold", "amount"),
    [
        ("$1577.00", True), ("82,400", True), ("12", True), ("(12)", True), ("3.5", True), ("45%", True),
        ("3 per cent a year above the base rate", True), ("45 million shares", True), ("2 Billion", True),
        ("Not less than 24 hours", False), ("1 May 2025", False), ("copper-glacier-41", False), ("VAR123", False),
        ("Ada", False), ("", False), ("A $ sign", False),
    ],
)  # fmt: skip
def test_what_is_an_amount(gold, amount):
    assert is_amount(gold) is amount


@pytest.mark.parametrize(
    ("said", "answers", "right"),
    [
        ("Ada", ("Ada",), 1),
        ("Bo", ("Ada",), 0),
        ("It is 81,900.", ("82,400",), 1),
        ("It is 81,900.", ("rent of 82400",), 0),
        ("Bo or Ada", ("Cy", "Ada"), 1),
        ("the war", ("the war", "1783"), 1),  # the one is told by words, the other by its figure
        ("1783", ("the war", "1783"), 1),
        ("peace", ("the war", "1783"), 0),
        ("in 2018", ("2018",), 1),
        ("in 2019", ("2018",), 0),
    ],
)
def test_an_answer_is_right_by_any_of_several(said, answers, right):
    assert score(said, asked(*answers))["right"] == right


def test_where_all_are_asked_for_the_share_counts():
    example = asked("VAR1", "VAR2", "VAR3", "VAR4", all_of=True)
    found = score("VAR3 and VAR1, VAR9", example)
    assert found["right"] == found["contains"] == 0.5
    assert found["exact_match"] == 0
    assert found["f1"] == pytest.approx(2 * 2 / (4 + 4))
    assert score("VAR1, VAR2, VAR3, VAR4", example)["exact_match"] == 1
    assert "figures" not in found


def test_all_metrics_of_a_right_answer():
    found = score("The rent is 82,400 crowns.", asked("82,400"))
    assert found == {
        "right": 1, "exact_match": 0, "f1": pytest.approx(2 / 5), "contains": 1, "figures": 1, "wrong_refusal": 0,
        "claims_supported": 1, "sentences_supported": 1,
    }  # fmt: skip


def test_an_empty_answer_has_scores_and_no_share_of_nothing():
    found = score("", asked("82,400"))
    assert found["right"] == found["f1"] == found["wrong_refusal"] == 0
    assert not {"claims_supported", "sentences_supported", "citation_precision"} & found.keys()


def test_refusals_are_right_where_the_documents_do_not_hold_the_answer():
    assert score(REFUSAL, asked()) == {"right": 1, "right_refusal": 1}
    made_up = score("The rent is 99,000 crowns.", asked())
    assert (made_up["right"], made_up["right_refusal"], made_up["claims_supported"]) == (0, 0, 0)
    assert "wrong_refusal" not in made_up


def test_refusals_are_wrong_where_the_context_holds_the_answer():
    assert score(REFUSAL, asked("82,400"))["wrong_refusal"] == 1
    assert score(REFUSAL, asked("82,400"))["right"] == 0
    assert "wrong_refusal" in LOWER_IS_BETTER
    assert "claims_supported" not in score(REFUSAL, asked("82,400"))
    missed = asked("82,400", gold_pages=(("lease", 3),))  # retrieval did not bring the page
    assert "wrong_refusal" not in score_faithfulness(REFUSAL, missed)
    found = asked("82,400", gold_pages=(("lease", 3),), gold=("The rent is 82,400 crowns.",))
    assert score_faithfulness(REFUSAL, found) == {"wrong_refusal": 1}


def test_abstaining_is_what_sra_rag_says_of_an_answer():
    passages = (Passage("lease", 3, "4", "The rent is 82,400 crowns a year."),)
    right, wrong = "The rent is 82,400 crowns.", "Zebras graze near Nairobi in 1734."
    nowhere, held = asked(passages=passages), asked("82,400", passages=passages, gold=(passages[0].text,))
    assert score(REFUSAL, nowhere)["right_abstention"] == score(wrong, nowhere)["right_abstention"] == 1
    assert score(right, nowhere)["right_abstention"] == score(right, held)["wrong_abstention"] == 0
    assert score(REFUSAL, held)["wrong_abstention"] == score(wrong, held)["wrong_abstention"] == 1
    assert score(wrong, held)["wrong_refusal"] == 0
    assert "wrong_abstention" in LOWER_IS_BETTER
    for example in (asked("82,400"), asked("82,400", passages=passages, gold_pages=(("lease", 3),))):
        assert not {"right_abstention", "wrong_abstention"} & score(wrong, example).keys()


def test_faithfulness_is_the_share_that_stands_in_the_context():
    half = score_faithfulness("The rent is 82,400 crowns. The deposit is 7,300 crowns.", asked("82,400"))
    assert half["claims_supported"] == 0.5
    assert half["sentences_supported"] == 0.5
    assert score_faithfulness("82,400", asked("82,400"))["claims_supported"] == 1


PAGES = (
    Passage("Q2.2023", 1, "2", "Capital expenditure was $1,577 million."),
    Passage("Q2.2023", 4, "5", "The auditor is Ashdown Merrick of Aldby."),
    Passage("lease", 1, "2", "The warehouse in Corvane has 12 gates."),
)


def cited_example(*pages):
    context = "\n\n".join(passage.text for passage in PAGES)
    gold = tuple(p.text for p in PAGES if (p.document, p.page_index) in pages)
    return asked("x", context=context, passages=PAGES, gold_pages=pages, gold=gold)


def test_citations_are_held_against_the_gold_pages():
    said = "Capital expenditure was $1,577 million."
    assert score_citations(said, cited_example(("Q2.2023", 1))) == {"citation_precision": 1, "citation_recall": 1}
    assert score_citations(said, cited_example(("Q2.2023", 4))) == {"citation_precision": 0, "citation_recall": 0}
    two = cited_example(("Q2.2023", 1), ("Q2.2023", 4))
    assert score_citations(said, two) == {"citation_precision": 1, "citation_recall": 0.5}
    both = f"{said} The warehouse in Corvane has 12 gates."
    assert score_citations(both, cited_example(("Q2.2023", 1))) == {"citation_precision": 0.5, "citation_recall": 1}


def test_citations_are_not_scored_where_there_is_nothing_to_hold_them_against():
    said = "Capital expenditure was $1,577 million."
    assert score_citations(said, cited_example()) == {}
    assert score_citations(REFUSAL, cited_example(("Q2.2023", 1))) == {}
    assert score_citations(said, cited_example(("Q2.2023", 9))) == {}  # retrieval did not bring the page


@pytest.mark.parametrize(
    ("name", "stem"),
    [("Q2.2023.pdf", "Q2.2023"), ("Q2.2023", "Q2.2023"), ("2022/report.DOCX", "report"), ("report", "report")],
)
def test_documents_are_known_by_their_stem(name, stem):
    assert document_stem(name) == stem


@pytest.mark.parametrize("said", ["82,400", "", REFUSAL, "Ada. " * 200, "“”", "\n"])
@pytest.mark.parametrize("answers", [(), ("82,400",), ("A",), ("Ada", "Bo")])
@pytest.mark.parametrize("all_of", [False, True])
def test_scores_lie_between_zero_and_one(said, answers, all_of):
    found = score(said, asked(*answers, all_of=all_of))
    assert "right" in found
    assert all(0 <= value <= 1 for value in found.values())
