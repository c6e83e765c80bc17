"""Right means right: numbers in words and digits, identifiers whole, units, dates, copies."""

import pytest
from sra_evaluations.examples import Example
from sra_evaluations.metrics import score
from sra_evaluations.metrics.correctness import contains, copies_passage, exact_match, is_right, token_f1
from sra_evaluations.metrics.number_words import with_digits

PASSAGE = (
    "The notice period for termination without cause is six months from the end of the month in which the notice is "
    "received, unless both parties agree in writing on another period before the notice is given."
)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("Not less than six months", "Not less than 6 months"),
        ("twenty-five days and two hours", "25 days and 2 hours"),
        ("one hundred and fifty per cent", "150 per cent"),
        ("more than one year", "more than 1 year"),
        ("There is one.", "There is 1."),
        ("No one knows one of them", "No one knows one of them"),
        ("the last one", "the last one"),
        ("1.5 million", "1.5 million"),
        ("three million pounds", "3000000 pounds"),
        ("copper-glacier-41", "copper-glacier-41"),
    ],
)
def test_number_words_become_digits(text, digits):
    assert with_digits(text) == digits


@pytest.mark.parametrize(
    ("said", "gold", "question", "right"),
    [
        # Number words and digits are one.
        ("You have to give 6 months' notice.", "Not less than six months", "", True),
        ("You have to give six months' notice.", "6 months", "", True),
        ("seven months", "Not less than six months", "", False),
        ("twenty-four hours", "24 hours", "", True),
        # Units compare, and convert where that is exact.
        ("180 days", "Not less than six months", "", False),
        ("84 days", "12 weeks", "", True),
        ("half: 6 weeks", "6 months", "", False),
        ("26", "26 weeks", "How many weeks of stock are held?", True),
        ("1 day", "24 hours", "", True),
        ("60 months from 1 May", "The five years that begin on the Commencement Date", "", True),
        ("45 calendar days", "More than 45 consecutive days", "", True),
        ("The bridge is 12.9 km long.", "12.9-kilometre", "", True),
        ("The bridge is 12.9 miles long.", "12.9-kilometre", "", False),
        ("6 ft 1 in", "6ft 1in", "", True),
        ("6 ft 2 in", "6ft 1in", "", False),
        # Currencies and scales.
        ("$16.2 million", "£16.2 million", "", False),
        ("16.2 million pounds", "£16.2 million", "", True),
        ("16.2 million dollars", "£16.2 million", "", False),
        ("16.2 billion", "£16.2 million", "", False),
        ("five hundred thousand pounds", "£0.5 million", "", True),
        ("12 per cent of the charges", "12 per cent of the core Charges for the month", "", True),
        # Two amounts are both asked for.
        ("£2,500,000", "The greater of £2,500,000 and 150 per cent of the Charges", "", False),
        ("The greater of £2.5 million and 150%", "The greater of £2,500,000 and 150 per cent of the Charges", "", True),
        # A row that is copied from a table chooses no figure.
        ("The remote day rate is £960 £890.", "£890", "", False),
        ("| 612.6 | 580.3 |", "£612.6 million", "", False),
        ("Administrative expenses (73.3) (64.1)", "£64.1 million", "", False),
        ("£890 (on site £960)", "£890", "", True),
        ("2025: £612.6 million, 2024: £580.3 million", "£612.6 million", "", True),
        ("2025 692.5", "£692.5 million", "", True),
        ("It is £1,150,000 (£1,150,000).", "£1,150,000", "", True),
        # Telephone numbers whole.
        ("It is 01632 960 807.", "01632 960 807", "", True),
        ("It is 01632-960807.", "01632 960 807", "", True),
        ("It is +44 1632 960 807.", "01632 960 807", "", True),
        ("It is 01632 960 141.", "01632 960 807", "", False),
        ("01632960141", "01632960807", "", False),
        ("9608071", "960807", "What is the telephone number?", False),
        ("960808", "960807", "What is the telephone number?", False),
        # Clause numbers whole.
        ("Clause 14.2", "Clause 14.2", "", True),
        ("It is in clause 14.2 of the agreement.", "Clause 14.2", "", True),
        ("Clause 14.1", "Clause 14.2", "", False),
        ("Clause 142", "Clause 14.2", "", False),
        ("Clause 14.2.1", "Clause 14.2", "", False),
        ("Clause 7, within 4 days", "Clause 4", "", False),
        ("Clauses 4.2 and 7.1", "Clauses 4.2 and 7.1", "", True),
        ("Clause 4.2", "Clauses 4.2 and 7.1", "", False),
        ("14.1", "14.2", "Which clause limits liability?", False),
        ("14.1", "14.2", "What was the margin in per cent?", True),  # an amount, within 1%
        ("Section 3(b)", "Section 3(a)", "", False),
        ("version 4.2.1", "4.2.10", "", False),
        # Dates in any form.
        ("May 1st, 2025", "1 May 2025", "", True),
        ("2025-05-01", "1 May 2025", "", True),
        ("1 June 2025", "1 May 2025", "", False),
        ("16 June 2026 at 10 a.m.", "16 June 2026", "", True),
        # Everything else has to be contained.
        ("Ashdown Merrick LLP of Aldby", "Ashdown Merrick LLP", "", True),
        ("It lasted from 1957\u20131960.", "1957", "", True),
        ("42", "4.2.1", "", False),
        ("5d2b-0123-4567-8", "5d2b-0123-4567-8", "", True),
        ("9f2b-0123-4567-8", "5d2b-0123-4567-8", "", False),
        ("01234567-89ab-cdef", "01234567-89ab-cdee", "", False),
    ],
)
def test_right_means_right(said, gold, question, right):
    assert is_right(said, gold, question) is right


def test_decimals_are_not_whole_numbers_and_words_are_digits():
    assert not contains("about 15 of them", "1.5")
    assert contains("It has two sides.", "2 sides")
    assert exact_match("Six months", "6 months")
    assert token_f1("in six months", "6 months") == pytest.approx(2 * 2 / (3 + 2))


def asked(*answers, gold=(PASSAGE,)):
    return Example("1", "Answer.", PASSAGE, "How long is the notice period?", answers, gold=gold)


def test_a_right_answer_that_copies_the_beginning_of_the_passage_is_told_apart():
    copied = score(PASSAGE[:90], asked("six months"))
    assert (copied["right"], copied["right_not_copied"]) == (1, 0)
    short = score("It is 6 months.", asked("six months"))
    assert (short["right"], short["right_not_copied"]) == (1, 1)
    assert score("A year.", asked("six months"))["right_not_copied"] == 0


def test_a_heading_before_the_copy_does_not_hide_it():
    assert copies_passage(f"Passage 3 (Title: Notice) {PASSAGE}", asked("six months"))
    assert not copies_passage(f"{'Well, ' * 20} {PASSAGE}", asked("six months"))


def test_lines_may_be_repeated_and_what_has_no_gold_text_has_no_such_score():
    line = "The rent is 82,400 crowns a year and is paid monthly."
    assert "right_not_copied" not in score(line, asked("82,400", gold=(line,)))
    assert "right_not_copied" not in score(line, asked("82,400", gold=()))
