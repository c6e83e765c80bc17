"""What is chosen as evidence: statements of a passage, words of the question, votes, and weights by line."""

import dataclasses
import math

import pytest
import torch

from sra_rag.attention.evidence import TO_END
from sra_rag.errors import ConfigError
from sra_rag.evidence.choice import choose_evidence, named_passages
from sra_rag.evidence.statements import headings, lines_of_passages, statements
from sra_rag.evidence.words import WordMatch, match_words, new_tokens
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.notation import parse_sra

TABLE = """Five-year record
£ million 2025 2024 2023
Revenue 612.6 580.3 541.5
Gross profit 255.7 236.5 218.2
Cash at the end of the year 68.2 57.3 46.8"""

CLAUSE = """8.3 The Supplier shall notify the Customer of a breach of personal data without undue delay, and in any
case within 24 hours of becoming aware of it. Findings rated high shall be put right within 20 Business
Days.
8.4 The Supplier shall hold a certificate throughout the term for every site from which services come."""


def texts(passage):
    return [passage[first:last] for first, last in statements(passage)]


def test_each_row_of_a_table_is_a_statement():
    assert texts(TABLE) == TABLE.split("\n")


def test_a_sentence_goes_on_over_the_line_end_and_a_clause_begins_its_own():
    assert texts(CLAUSE) == [
        "8.3 The Supplier shall notify the Customer of a breach of personal data without undue delay, and in any\n"
        "case within 24 hours of becoming aware of it.",
        "Findings rated high shall be put right within 20 Business\nDays.",
        "8.4 The Supplier shall hold a certificate throughout the term for every site from which services come.",
    ]


def test_prose_on_one_line_is_divided_at_its_sentences_and_short_pieces_stay():
    prose = "The hall in Aldercombe closed in May 2024. No. 5 in the list was sold for £4.5 million! Was it? It was."
    assert texts(prose) == [
        "The hall in Aldercombe closed in May 2024.",
        "No. 5 in the list was sold for £4.5 million!",
        "Was it? It was.",
    ]
    assert texts("合同自签字之日起生效并且一直持续到双方书面终止为止方可失效。任何一方可以提前三十天通知。") == [
        "合同自签字之日起生效并且一直持续到双方书面终止为止方可失效。",
        "任何一方可以提前三十天通知。",
    ]
    assert statements(" \n ") == []


@pytest.mark.parametrize(
    "pair",
    ["Yearly rent of the warehouse at Venlo: 82,400 euros", '"9993c962-d242-4aa5-9f0d-9ffc": "973f4ff1-00a2-4866",'],
)
def test_a_name_and_its_value_are_one_statement(pair):
    assert texts(pair) == [pair]


def test_the_name_of_a_passage_is_no_statement():
    assert texts("[annual report, page 28]\nA meter has no\nmoving parts.") == ["A meter has no", "moving parts."]
    assert texts("[annual report, page 28]") == ["[annual report, page 28]"]


@pytest.mark.parametrize(
    "lines",
    [
        [f' "{key * 8}-0f12-4c3d-9e11-{key * 12}": "{key * 12}-77aa-{key * 8}",' for key in "abcd"],
        [
            f"2026-11-{day} 08:15:02,311 INFO the pump of hall {day} was started by the night shift"
            for day in (10, 11, 12)
        ],
        [f"| pump {n} | hall {n} of the northern works | started by the night shift |" for n in (4, 5, 6)],
        [f"pump {n}\thall {n} of the northern works\tstarted by the night shift at once" for n in (4, 5, 6)],
        [f"pump,hall of the northern works,{shift},started at eight in the morning" for shift in ("early", "lately")],
    ],
)
def test_records_of_the_same_length_are_no_wrapped_text(lines):
    assert [line.strip() for line in texts("\n".join(lines))] == [line.strip() for line in lines]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("character", [" ", "\t", "|", "'", "a,", ".", "1 ", "1."])
def test_a_long_line_of_one_character_ends(character):
    """With a search of each space anew, 500,000 of them would take many minutes."""
    line = character * 500_000 + "x"
    assert "".join("".join(texts(f"{line}\n{line}")).split()) == "".join(f"{line}{line}".split())
    assert not any(headings([[line, line], [f"Passage 1 {line}", line], [f"Passage 2 {line[:-1]}.", line]]))


def test_prose_with_commas_and_quotes_is_still_wrapped_text():
    prose = (
        'The "Supplier" shall, for a sum of 1,000,000 pounds, 2,500 of which are due at once, keep the pumps in\n'
        '"good repair", and shall, at the end of each year, report to the "Customer" what was done, and by whom it\n'
        "was done."
    )
    assert texts(prose) == [prose]
    words = (
        "The words such as are not promises and are read together with the risks that are set out below them\n"
        '"plan," "expect," "aim," "believe," "project," "target," "anticipate," "intend," "estimate" and others'
    )
    assert texts(words) == [words]


@pytest.mark.parametrize("number", ["Page 11", "- Seite 3 von 12 -", "page 4 / 9", "Página 7"])
def test_the_number_of_a_page_is_no_statement(number):
    assert texts(f"The cap is £500.\n{number}") == texts(f"{number}\nThe cap is £500.") == ["The cap is £500."]
    assert texts(number) == [number]


def test_a_line_about_pages_is_a_statement():
    for line in ("Pages 11 and 12 are missing", "Page 11 has the prices", "Side letter 3", "11"):
        assert texts(f"{line}\nThe cap is £500.") == [line, "The cap is £500."]


def without_heads(*passages):
    kept = zip(passages, lines_of_passages(passages), strict=True)
    return [[passage[first:last] for first, last in spans] for passage, spans in kept]


def test_the_running_heads_of_pages_are_no_evidence():
    """They have words of many questions ("Tarnbrook", "2025") and answer few."""
    first = "[report, page 1]\nTarnbrook plc - Annual Report  2025\nAccounts\nRevenue rose."
    second = "[report, page 2]\nTarnbrook plc - Annual Report 2025\nAccounts\nCash 68.2 57.3"
    other = "Tarnbrook plc\nCosts fell."
    assert without_heads(first, second, other) == [
        ["Revenue rose."],
        ["Cash 68.2 57.3"],
        ["Tarnbrook plc", "Costs fell."],
    ]
    # A line within a page, a sentence, a row of amounts and a third line are none, and one statement is left.
    for alone in (
        ["Costs fell.\nTotal costs", "Cash rose.\nTotal costs"],
        ["The term is one year.\nRent A", "The term is one year.\nRent B"],
        ["Cash 68.2 57.3\nRent A", "Cash 68.2 57.3\nRent B"],
        ["Notice period", "Notice period"],
    ):
        assert without_heads(*alone) == [passage.split("\n") for passage in alone]
    assert without_heads("A\nB\nC\nD", "A\nB\nC\nE") == [["C", "D"], ["C", "E"]]


@pytest.mark.parametrize("words", [None, WordMatch(torch.tensor([5.0, 0.0, 1.0]), torch.tensor([5.0, 0.0, 1.0]))])
def test_headings_are_neither_chosen_nor_best_lines(words):
    """All that names a passage names the first one: attention and words of the heading."""
    spans = ((0, 10), (10, 20), (20, 30))
    look = torch.tensor([[0.7, 0.05, 0.2]])
    bare = [True, False, False]
    page = EncodedPrompt(tuple(range(40)), 30, spans, tuple((span,) for span in spans))
    config = EvidenceConfig(weight=2, gate="agree" if words else 0)
    assert choose_evidence(page, look, config, words).chosen == (0,)
    assert choose_evidence(page, look, config, words, headings=bare).chosen == (2,)
    for of_passages, of_lines in (([5.0, 3.0, 1.0], [5.0, 0.0, 1.0]), ([5.0, 0.0, 1.0], [5.0, 3.0, 0.0])):
        two_agree = WordMatch(torch.tensor(of_passages), torch.tensor(of_lines))  # attention and either of both
        assert choose_evidence(page, look, EvidenceConfig(2, gate="agree"), two_agree, headings=bare).chosen == (2,)
    passages = EncodedPrompt(tuple(range(40)), 30, ((0, 20), (20, 30)), (spans[:2], spans[2:]))
    of_two = WordMatch(torch.tensor([1.0, 0.0]), words.lines) if words else None
    assert choose_evidence(passages, look, config, of_two).best_lines == (0, 0)
    assert choose_evidence(passages, look, config, of_two, headings=bare).best_lines == (1, 0)


def told(page):
    lines = page.split("\n")
    return [line for line, heading in zip(lines, headings([lines]), strict=True) if heading]


def test_headings_and_names_of_columns_are_told():
    page = (
        "3. Force majeure\nThe customer may terminate after 45 days.\nFees\nRole Day rate\nArchitect £960\nTester £410"
    )
    assert told(page) == ["3. Force majeure", "Fees", "Role Day rate"]
    assert told("Cash flow statement\n2025 2024\nCash at the end 68.2 57.3") == ["Cash flow statement", "2025 2024"]
    assert told("Laufzeit:\nDer Vertrag endet am 3. Mai 2031.") == ["Laufzeit:"]


@pytest.mark.parametrize(
    "page",
    [
        "The cap is £500.\nSchedule of fees",  # nothing follows
        "Notice period 30 days\nThe term is one year.",
        "Landlord: Anna Birk\nThe term is one year.",
        "The lease of the mill\nruns for nine years.",
        "The lease of the mill, which was signed in the hall of the town and seen by its two clerks,\nThe rent.",
        "Anna Birk Chair\nTomas Reed Clerk\nIlse Varga Guard\nPeter Holm Warden\nAll were present.",
        "| Anna Birk | Chair |\nAll were present.",
        "",
    ],
)
def test_lines_that_say_something_are_no_headings(page):
    assert told(page) == []


@pytest.mark.parametrize("name", ["Passage {} (Title: Pumps)", "Document [{}](Title: Who is there?)", "Source {}: log"])
def test_the_numbered_names_of_passages_are_headings(name):
    passages = [[name.format(number), "The pump is in hall 4.", "It is new."] for number in (1, 2)]
    assert headings(passages) == [True, False, False] * 2
    assert headings(passages[:1]) == [False] * 3  # a single one may be anything
    assert headings([lines[:1] for lines in passages]) == [False] * 2


@pytest.mark.parametrize("first", ["Clause {} applies to all pumps.", "Warehouse {} 82,400 91,000"])
def test_first_lines_that_say_something_are_no_names(first):
    assert headings([[first.format(number), "The pump is new."] for number in (1, 2)]) == [False] * 4


def test_statements_cover_every_word_of_a_passage_once():
    for passage in (TABLE, CLAUSE):
        assert "".join("".join(texts(passage)).split()) == "".join(passage.split())


def test_the_words_of_a_question_name_the_row():
    other = ["Gross margin 40.1 39.9", "Cash was lower than expected because of the purchase of new stock."]
    match = match_words("How much cash was there at the end of the year 2024?", [other, TABLE.split("\n")])
    assert int(match.lines.argmax()) == len(other) + 4
    assert int(match.passages.argmax()) == 1


def test_keys_of_letters_and_digits_are_words():
    lines = [f'"{key}": "value {number}"' for number, key in enumerate(["2a8d-601d", "a2a9-9c54", "c5e7-6911"])]
    match = match_words("What belongs to a2a9-9c54?", [[line] for line in lines])
    assert int(match.lines.argmax()) == int(match.passages.argmax()) == 1
    assert match_words("Что это?", [["Revenue 612.6"], ["Gross profit 255.7"]]) is None


def prompt_of(counts):
    """A prompt of passages of so many lines, each of ten tokens."""
    lines, passages, position = [], [], 0
    for count in counts:
        spans = tuple((position + 10 * number, position + 10 * number + 10) for number in range(count))
        lines.append(spans)
        passages.append((position, position + 10 * count))
        position += 10 * count
    return EncodedPrompt(tuple(range(position + 5)), position, tuple(passages), tuple(lines))


LINES = [["the moon", "a stone of basalt"], ["the tide turns", "the tide waits"], ["no words", "at all"]]


@pytest.mark.parametrize(
    ("look", "question", "chosen"),
    [
        # Attention and words agree.
        ([0.1, 0.1, 0.4, 0.2, 0.1, 0.1], "When does the tide turn?", (1,)),
        # Attention is on the last passage, words and best line name the second.
        ([0.1, 0.1, 0.15, 0.15, 0.25, 0.25], "When does the tide turn?", (1,)),
        # No word is shared: attention alone has to stand out.
        ([0.1, 0.1, 0.2, 0.2, 0.2, 0.2], "Warum?", ()),
        ([0.05, 0.05, 0.4, 0.4, 0.05, 0.05], "Warum?", (1,)),
    ],
)
def test_votes_that_agree_pass_the_gate(look, question, chosen):
    config = EvidenceConfig(weight=2.0, gate="agree")
    found = choose_evidence(prompt_of([2, 2, 2]), torch.tensor([look]), config, match_words(question, LINES))
    assert found.chosen == chosen
    assert len(found.spans) == len(chosen)


# Words name the second passage; attention names another one, and so does the best line.
WORDS = WordMatch(torch.tensor([-0.1, 0.2, -0.1]), torch.zeros(6))
LOOKS = {0: torch.tensor([[0.9, 0.02, 0.02, 0.02, 0.02, 0.02]]), 2: torch.tensor([[0.02, 0.02, 0.02, 0.02, 0.9, 0.02]])}


@pytest.mark.parametrize(
    ("attention", "scores", "chosen"),
    [
        (2, (), (2,)),
        (0, (), ()),  # heads look at the first passage where a question is about all
        (0, (0.7, 0.2, 0.1), (0,)),  # the search names it too
        (0, (0.1, 0.7, 0.2), (1,)),
        (0, (0.1, 0.2, 0.7), ()),
        (0, (0.7, 0.7, 0.1), ()),  # a search without a first passage names none
        (2, (0.7, 0.2, 0.1), (2,)),
    ],
)
def test_who_names_a_passage(attention, scores, chosen):
    config = EvidenceConfig(weight=2.0, gate="agree", retrieval=True)
    prompt = dataclasses.replace(prompt_of([2, 2, 2]), scores=scores)
    assert choose_evidence(prompt, LOOKS[attention], config, WORDS).chosen == chosen
    for without in (False, None):
        found = choose_evidence(prompt, LOOKS[attention], config.replace(retrieval=without), WORDS)
        assert found.chosen == ((2,) if attention else ())


def test_where_no_word_is_shared_attention_and_the_search_agree():
    config = EvidenceConfig(weight=2.0, gate="agree", retrieval=True)
    look = torch.tensor([[0.1, 0.1, 0.2, 0.2, 0.2, 0.2]])  # hardly more for two passages than for the first
    prompt = dataclasses.replace(prompt_of([2, 2, 2]), scores=(0.1, 0.7, 0.2))
    assert choose_evidence(prompt, look, config).chosen == (1,)
    assert choose_evidence(prompt, look, config.replace(retrieval=False)).chosen == ()


def test_where_the_three_disagree_nothing_is_weighed():
    # Words of passages: the first; best line: the second; attention: the third.
    lines = [["basalt tide tide", "tide tide tide"], ["old basalt tide", "moss"], ["fern", "moss"]]
    match = match_words("basalt tide", lines)
    votes = int(match.passages.argmax()), int(match.lines.argmax()) // 2
    look = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.5, 0.5]])
    found = choose_evidence(prompt_of([2, 2, 2]), look, EvidenceConfig(weight=2.0, gate="agree"), match)
    assert (len({*votes, 2}) < 3) == bool(found.chosen)
    assert choose_evidence(prompt_of([2, 2, 2]), look, EvidenceConfig(weight=2.0), match).chosen


def test_the_best_line_gets_a_weight_above_its_passage():
    look = torch.tensor([[0.1, 0.1, 0.1, 0.6, 0.05, 0.05]])

    def weighed(**settings):
        found = choose_evidence(prompt_of([2, 3, 1]), look, EvidenceConfig(weight=4.0, **settings))
        return list(zip(found.spans, found.weights, strict=True))

    assert weighed() == [((20, 50), 4.0)]
    assert weighed(unit="line") == [((30, 40), 4.0)]
    assert weighed(line_weight=8.0) == [((20, 30), 4.0), ((30, 40), 32.0), ((40, 50), 4.0)]
    assert weighed(unit="line", line_weight=8.0) == [((30, 40), 4.0)]


def test_what_is_above_the_first_line_of_a_passage_and_below_the_last_has_no_weight():
    """Its name, and the running head and the number of its page: a model would answer with them."""
    prompt = prompt_of([2, 4, 1])
    prompt = dataclasses.replace(prompt, lines=(prompt.lines[0], prompt.lines[1][1:-1], prompt.lines[2]))
    look = torch.tensor([[0.1, 0.1, 0.1, 0.6, 0.1]])
    for settings, expected in (
        ({}, [((30, 50), 4.0)]),
        ({"line_weight": 8.0}, [((30, 40), 4.0), ((40, 50), 32.0)]),
    ):
        found = choose_evidence(prompt, look, EvidenceConfig(weight=4.0, **settings))
        assert list(zip(found.spans, found.weights, strict=True)) == expected


@pytest.mark.parametrize(("beside", "weight"), [(16, 16.0), (200, 16.0), (2, 2.93), (10, 10.45)])
def test_the_weight_is_smaller_where_hardly_anything_is_beside_the_passage(beside, weight):
    """The logarithm of the weight is a part of that given: log(1 + tokens beside) / log(17)."""
    passages = (0, 40), (40, 40 + beside)
    prompt = EncodedPrompt(tuple(range(beside + 45)), beside + 40, passages, ((passages[0],), (passages[1],)))
    found = choose_evidence(prompt, torch.tensor([[0.9, 0.1]]), EvidenceConfig(weight=16.0))
    assert found.spans == ((0, 40),)
    assert found.weights == pytest.approx([weight], abs=0.01)


@pytest.mark.parametrize(("beside", "growth"), [(200, 1.0), (1500, 1.0), (6000, 4.0), (12_000, 8.0)])
def test_weights_grow_with_what_is_beside_the_passage_if_they_are_meant_for_a_length(beside, growth):
    passages = (0, 40), (40, 40 + beside)
    lines = (((0, 20), (20, 40)), (passages[1],))
    prompt = EncodedPrompt(tuple(range(beside + 45)), beside + 40, passages, lines)
    look, config = torch.tensor([[0.6, 0.3, 0.1]]), EvidenceConfig(weight=8.0, line_weight=8.0)
    assert choose_evidence(prompt, look, config).weights == (64.0, 8.0)
    found = choose_evidence(prompt, look, config.replace(tokens=1500))
    assert (found.spans, found.weights) == (((0, 20), (20, 40)), (64 * growth, 8 * growth))


def test_the_share_of_equal_keys_stays_where_weights_grow():
    """Among n equal keys, evidence of m keys has w m / (w m + n) of the attention."""
    shares = []
    for beside in (1500, 3000, 24_000):
        passages = (0, 50), (50, 50 + beside)
        prompt = EncodedPrompt(tuple(range(beside + 55)), beside + 50, passages, ((passages[0],), (passages[1],)))
        config = EvidenceConfig(weight=4.0, tokens=1500)
        [weight] = choose_evidence(prompt, torch.tensor([[0.9, 0.1]]), config).weights
        shares.append(weight * 50 / (weight * 50 + beside))
    assert shares == pytest.approx([200 / 1700] * 3)


def test_passages_that_are_not_chosen_from_are_beside_the_passage_too():
    prompt = EncodedPrompt(tuple(range(45)), 40, ((0, 40),), (((0, 40),),))
    look, config = torch.tensor([[1.0]]), EvidenceConfig(weight=16.0)
    assert choose_evidence(prompt, look, config, others=[(0, 16)]).weights == (16.0,)
    assert choose_evidence(prompt, look, config).spans == ()


def test_other_passages_count_less_than_everything_else():
    """Where weights are at least 1, that is: everything else counts more, to the end of the answer."""
    passages = (3, 23), (23, 43), (45, 65)
    prompt = EncodedPrompt(tuple(range(80)), 70, passages, tuple((span,) for span in passages))
    look, config = torch.tensor([[0.1, 0.8, 0.1]]), EvidenceConfig(weight=1.0, others=16.0)
    found = choose_evidence(prompt, look, config)
    assert (found.chosen, found.spans) == ((1,), ((0, 3), (23, 45), (65, TO_END)))
    assert found.weights == (16.0,) * 3
    more = choose_evidence(prompt, look, config.replace(weight=4.0))
    assert more.spans == ((0, 3), (23, 43), (43, 45), (65, TO_END))
    assert more.weights == (16.0, 64.0, 16.0, 16.0)
    plain = choose_evidence(prompt, look, EvidenceConfig(weight=4.0))
    assert (plain.spans, plain.weights) == (((23, 43),), (4.0,))
    grown = choose_evidence(prompt, look, config.replace(weight=4.0, tokens=20))  # 40 tokens of other passages
    assert (grown.spans, grown.weights) == (more.spans, (32.0, 128.0, 32.0, 32.0))


def test_passages_that_are_not_chosen_from_count_less_too():
    prompt = EncodedPrompt(tuple(range(80)), 70, ((20, 40), (40, 60)), (((20, 40),), ((40, 60),)))
    config = EvidenceConfig(weight=1.0, others=16.0)
    found = choose_evidence(prompt, torch.tensor([[0.9, 0.1]]), config, others=[(0, 18)])
    assert found.spans == ((18, 40), (60, TO_END))


def test_few_tokens_of_other_passages_count_little_less():
    prompt = EncodedPrompt(tuple(range(60)), 55, ((0, 50), (50, 53)), (((0, 50),), ((50, 53),)))
    found = choose_evidence(prompt, torch.tensor([[0.9, 0.1]]), EvidenceConfig(weight=1.0, others=16.0))
    assert found.spans == ((0, 50), (53, TO_END))
    assert found.weights == pytest.approx([16 ** (math.log(4) / math.log(17))] * 2)


def test_where_all_passages_would_be_chosen_none_stands_out():
    look = torch.tensor([[0.1, 0.3, 0.6]])
    assert choose_evidence(prompt_of([1, 1, 1]), look, EvidenceConfig(weight=2.0, passages=2)).chosen == (2, 1)
    found = choose_evidence(prompt_of([1, 1, 1]), look, EvidenceConfig(weight=2.0, passages=3))
    assert (found.chosen, found.spans) == ((), ())


MILL, BOATHOUSE, GRANARY = "The rent of the mill.", "The rent of the boathouse by the lake.", "Rent of the granary."


def named(*words):
    """Passages that are named by words, each with the passage that has nine tenths of its attention."""
    rows = torch.tensor([[0.9 if number == main else 0.05 for number in range(3)] for _, main in words])
    return named_passages(rows, [word for word, _ in words], [MILL, BOATHOUSE, GRANARY])


def test_a_passage_is_named_by_two_words_that_it_has_and_few_others():
    assert named((" boat", 1), ("house", 1), (" gran", 2), ("ary", 2)) == {1, 2}
    assert named((" boat", 1), ("house", 1), (" gran", 2)) == {1}  # one word names nothing
    assert named((" Lake", 1), (" BOAT", 1)) == {1}
    assert named((" rent", 0), (" the", 0), (" of", 0)) == set()  # in all: heads look at the first then
    assert named((" mill", 1), ("mill", 1)) == set()  # where they are not
    assert named() == set()
    spread = torch.full((2, 3), 1 / 3)
    assert named_passages(spread, [" boat", "house"], [MILL, BOATHOUSE, GRANARY]) == set()


def test_named_passages_are_weighed_beside_the_best_one():
    look, prompt = torch.tensor([[0.2, 0.3, 0.5]]), prompt_of([1, 1, 1])
    for others, chosen in (({0}, (2, 0)), ({0, 2}, (2, 0)), ((), (2,)), ({0, 1}, ())):  # all three: none stands out
        assert choose_evidence(prompt, look, EvidenceConfig(weight=2.0), named=others).chosen == chosen
        assert choose_evidence(prompt, look, EvidenceConfig(weight=2.0, passages=1), named=others).chosen == (2,)


def test_settings_for_lines_words_and_votes_in_every_form():
    sra = parse_sra("evidence=16,evidence.line_weight=4,evidence.words=false,evidence.gate=2")
    assert sra.evidence == EvidenceConfig(weight=16, line_weight=4, words=False, gate=2)
    assert parse_sra("evidence=16,evidence.gate=agree").evidence.gate == "agree"
    assert type(sra).from_dict(sra.to_dict()) == sra
    for settings, message in (
        ({"line_weight": 0.5}, "line_weight=0.5 is not allowed. Give a finite number >= 1"),
        ({"words": "yes"}, "words='yes' is not allowed. Give true or false"),
        ({"gate": "sometimes"}, 'finite number >= 0 .0 is no gate., or "agree"'),
        ({"gate": "agree", "words": False}, "not allowed without words"),
    ):
        with pytest.raises(ConfigError, match=message):
            EvidenceConfig(weight=2, **settings)


def new_part(question, tokens):
    """The tokens that hold something the question does not."""
    ends = [len("".join(tokens[: count + 1])) for count in range(len(tokens))]
    new = new_tokens(question, ends, "".join(tokens))
    return "".join(token for token, is_new in zip(tokens, new, strict=True) if is_new)


def test_the_words_of_a_line_that_the_question_does_not_hold():
    pair = ['"', "2", "a", "8d", "-", "601", "d", '": "', "bb", "3", "ba", '",']
    assert new_part("What is the value of 2A8D-601d?", pair) == '"": "bb3ba",'
    row = ["Re", "venue", " of", " 2024", " |", " 612", ".", "6", " |"]
    assert new_part("What was the revenue of 2024?", row) == " | 612.6 |"
    # A token that holds the end of a known word and the beginning of a new one is new.
    assert new_part("cost", ["cost", "-be", "nefit"]) == "-benefit"
    # Where nothing is new, nothing is left out.
    assert new_part("Is the mill leased?", ["The", " mill"]) == "The mill"
    assert new_part("", ["The", " mill"]) == "The mill"


def test_only_the_new_words_of_the_best_line_are_weighed():
    look = torch.tensor([[0.1, 0.1, 0.1, 0.6, 0.05, 0.05]])

    def weighed(**settings):
        config = EvidenceConfig(weight=4.0, **settings)
        found = choose_evidence(
            prompt_of([2, 3, 1]),
            look,
            config,
            new_spans=lambda line: [(line[0] + 2, line[0] + 5), (line[0] + 9, line[1])],
        )
        return list(zip(found.spans, found.weights, strict=True))

    assert weighed(new_words=True) == [((20, 30), 4.0), ((32, 35), 4.0), ((39, 40), 4.0), ((40, 50), 4.0)]
    assert weighed(new_words=True, line_weight=8.0) == [
        ((20, 30), 4.0), ((32, 35), 32.0), ((39, 40), 32.0), ((40, 50), 4.0),
    ]  # fmt: skip
    assert weighed(new_words=True, unit="line") == [((32, 35), 4.0), ((39, 40), 4.0)]
    assert weighed(unit="line") == [((30, 40), 4.0)]
