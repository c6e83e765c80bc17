"""What is written in another way than in the passage: right answers are not marked or refused, wrong ones are."""

import pytest
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.dates import find_dates
from sra_pipelines.checks.support import check_support, mark_unsupported
from sra_pipelines.values import Passage


def marked(passage, answer):
    support = check_support(answer, "What is it?", [Passage("d", 0, "1", passage, end=len(passage))])
    return "[?]" in mark_unsupported(answer, support) or abstains(answer, support) is not None


# Each passage, a right answer and a wrong one.
PAIRS = [
    ("The kit has a dozen screws.", "It has 12 screws.", "It has 10 screws."),
    ("The order is 36 bottles.", "It is three dozen bottles.", "It is two dozen bottles."),
    ("Roses are sold by the dozen.", "Roses are sold by 12.", "Roses are sold by 10."),
    ("Dividend: nil.", "The dividend was 0.", "The dividend was 5."),
    ("There were no accidents in 2023.", "There were zero accidents.", "There were 4 accidents."),
    ("Outstanding invoices | 0", "There are zero outstanding invoices.", "There are 2 outstanding invoices."),
    ("The rate is 5%.", "The rate is 0.05.", "The rate is 0.5."),
    ("The discount rate is 0.08.", "It is 8%.", "It is 0.8%."),
    ("It owns 50% of the shares.", "It owns one-half of the shares.", "It owns a quarter of the shares."),
    ("A majority of 2/3 is needed.", "It needs two thirds.", "It needs three quarters of the votes."),
    ("A majority of two thirds is needed.", "A majority of 66.7% is needed.", "A majority of 60% is needed."),
    ("The price rose by a third.", "It rose by 33%.", "It rose by 43%."),
    ("Half of the budget was spent.", "50% of the budget was spent.", "40% of the budget was spent."),
    ("60% of customers returned.", "Three out of five customers returned.", "Four out of five customers returned."),
    ("Only one in five passed.", "Only 20% passed.", "Only 30% passed."),
    ("Three of the ten samples failed.", "3 out of 10 samples failed.", "4 out of 10 samples failed."),
    ("Sales in the fourth quarter of 2023 rose.", "In Q4 2023 sales rose.", "In Q3 2023 sales rose."),
    ("4Q23 sales were 410.", "In Q4 2023 sales were 410.", "In Q1 2023 sales were 410."),
    ("1H 2023: 410", "In the first half of 2023 it was 410.", "In the second half of 2023 it was 410."),
    ("The rent is 82,400 crowns.", "It is 82 thousand four hundred crowns.", "It is 82 thousand five hundred crowns."),
    ("The price is 1,250,000 dollars.", "It is 1 million 250 thousand dollars.", "It is 1 million 350 thousand."),
    ("The premium is GBP 2m.", "It is two million pounds.", "It is two billion pounds."),
    ("The meeting starts at 14:30.", "It starts at 2:30 pm.", "It starts at 3:30 pm."),
    ("The shop opens at 9 am.", "It opens at 9:00.", "It opens at 9 pm."),
    ("The coach leaves at 7.45 am.", "It leaves at a quarter to eight.", "It leaves at a quarter past eight."),
    ("The pool closes at 21:30.", "It closes at half past nine.", "It closes at half past eight."),
    ("Lunch is served from 12.30 to 14.00.", "It is served from 12:30 pm to 2 pm.", "It is served from 11:30 am."),
    ("It lands at midnight.", "It lands at 00:00.", "It lands at noon."),
    ("Open from 9 to 17.", "It is open from 9 am to 5 pm.", "It is open from 10 am to 5 pm."),
    ("Deliveries arrive on weekdays.", "Deliveries arrive on Friday.", "Deliveries arrive on Sunday."),
    ("Open Mon to Thu.", "It is open on Tuesday.", "It is open on Friday."),
    ("The hearing is on 7 October 2024.", "It is on Monday, 7 October 2024.", "It is on Tuesday, 7 October 2024."),
    ("Der Termin ist am Montag.", "It is on Monday.", "It is on Tuesday."),
    ("Built in the nineteenth century.", "It was built in the 19th century.", "It was built in the 18th century."),
    ("He was the 3rd president.", "He was the third president.", "He was the fourth president."),
    ("Chapter IV applies.", "Chapter 4 applies.", "Chapter 6 applies."),
    ("Appendix 4 lists the fees.", "Appendix IV lists the fees.", "Appendix VI lists the fees."),
    ("Error E5: sensor fault", "E5 means a sensor fault.", "E6 means a sensor fault."),
    ("It was version 2.10.1.", "It was version 2.10.1.", "It was version 2.11.1."),
    ("Call (555) 123-4567.", "Call 555-123-4567.", "Call 555-123-9999."),
    ("The notice is two weeks.", "The notice is a fortnight.", "The notice is within a week."),
    ("Pay within 7 days.", "Pay within a week.", "Pay within a month."),
    ("The notice is 90 minutes.", "It is an hour and a half.", "It is an hour and a quarter."),
    ("The film runs 1 hour 45 minutes.", "It runs for 105 minutes.", "It runs for 145 minutes."),
    ("The flight takes 2h30.", "It takes 2 hours 30 minutes.", "It takes 3 hours 30 minutes."),
    ("The contract is for ten (10) years.", "It is for a decade.", "It is for two decades."),
    ("Probation: 6 months", "It lasts half a year.", "It lasts a quarter of a year."),
    ("The board is 2.4 m long.", "It is 240 cm long.", "It is 2.4 cm long."),
    ("Add 250 ml of milk.", "Add 0.25 litres of milk.", "Add 250 litres of milk."),
    ("The parcel weighs 750 g.", "It weighs 0.75 kg.", "It weighs 750 kg."),
    ("Storage: 2 TB", "It has 2,000 GB.", "It has 2 GB."),
    ("A stamp costs 85 cents.", "It costs $0.85.", "It costs $85."),
    ("The fee is \u00a31.20.", "It is 120 pence.", "It is 12 pence."),
    ("The lease ends on 30 June 2026.", "It ends at the end of June 2026.", "It ends at the end of July 2026."),
    ("From 7 October to Friday, 11 October 2024.", "It begins on 7 October 2024.", "It begins on 8 October 2024."),
    ("Dated 9 September 2024. Pay by 20 September.", "By 20 September 2024.", "By 20 September 2023."),
    ("2. Term\nThe term is three years.", "The term is 3 years.", "The term is 2 years."),
    ("3. Fee\nThe fee is payable yearly.", "It is payable yearly.", "It is 3%."),
    ("E2: fill the tank.", "E2: fill the tank.", "It takes 2 weeks."),
    ("Insurance of at least GBP 2 million.", "It is 2 million pounds.", "The notice is 2 weeks."),
    ("12 2/3% and 15", "It is 12 2/3%.", "It is 12 1/3%."),
]  # fmt: skip


@pytest.mark.parametrize(("passage", "right", "wrong"), PAIRS)
def test_a_right_answer_in_another_writing_is_not_marked_and_a_wrong_one_is(passage, right, wrong):
    assert not marked(passage, right)
    assert marked(passage, wrong)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("from Monday, 7 October to Friday, 11 October 2024", {(7, 10, 2024), (11, 10, 2024)}),
        ("7-11 October 2024", {(7, 10, 2024), (11, 10, 2024)}),
        ("20 December to 3 January 2025", {(20, 12, 2024), (3, 1, 2025)}),
        ("on the last day of February 2024", {(29, 2, 2024)}),
        ("31 February to 3 March 2024", {(3, 3, 2024)}),
    ],
)
def test_a_range_of_dates_has_a_year_at_its_end(text, days):
    assert {(date.day, date.month, date.year) for date, *_ in find_dates(text)} == days


@pytest.mark.parametrize(
    ("text", "answer", "quote"),
    [
        ("Lakes are deep.\nTwenty-six pupils are coming.", "26 pupils are coming.", "Twenty-six pupils are coming."),
        ("Staff: 9\nEast: 342900\nWest: 548000", "It is 342,900 euros.", "East: 342900"),
        (
            "2. Insurance\nThe Tenant holds GBP 2 million.",
            "At least \u00a32,000,000.",
            "The Tenant holds GBP 2 million.",
        ),
    ],
)
def test_the_line_with_another_writing_is_cited(text, answer, quote):
    passages = [Passage("d", 0, "1", text, end=len(text))]
    support = check_support(answer, "How many?", passages)
    [citation] = cite(answer, "How many?", passages, support=support)
    assert citation.quote == quote


def test_the_number_of_a_clause_is_no_source_of_an_amount():
    texts = ["8. Termination\nEither party may end it.", "3. Interest\nInterest of 8% a year is due."]
    passages = [Passage("d", i, str(i + 1), text, end=len(text)) for i, text in enumerate(texts)]
    assert [citation.page_label for citation in cite("It is 8% a year.", "What?", passages)] == ["2"]
    assert cite("Clause 8 governs it.", "What?", passages)[0].page_label == "1"


def test_a_passage_that_has_the_amount_as_it_is_written_is_the_only_source():
    texts = ["Leave is twenty-six days a year.", "Notice of 26 days is required."]
    passages = [Passage("d", number, str(number + 1), text, end=len(text)) for number, text in enumerate(texts)]
    support = check_support("26 days.", "How long?", passages)
    assert [claim.passages for claim in support.claims] == [(0, 1)]
    assert [citation.page_label for citation in cite("26 days.", "How long?", passages, support=support)] == ["2"]
