"""Questions about two passages or all of them, one question at each position, more pairs than a row has."""

import json
import re

import pytest
from sra_evaluations.examples import content_hash
from sra_evaluations.metrics import score
from sra_evaluations.tasks import load_task

from sra_rag.errors import ConfigError


def count_tokens(text):
    return len(text.split())


def examples_of(text, count=10, seed=0):
    return load_task(text).examples(count, seed, count_tokens)


def passages_of(example):
    return example.context.split("\n\n")


@pytest.mark.parametrize("text", ["two-passages", "two-passages:passages=5,kind=both", "open-question:passages=4"])
def test_examples_are_those_of_their_seed_with_their_gold_in_the_context(text):
    examples = examples_of(text, 20)
    assert content_hash(examples) == content_hash(examples_of(text, 20)) != content_hash(examples_of(text, 20, 1))
    assert examples_of(text, 7) == examples[:7]
    assert len({example.id for example in examples}) == 20
    for example in examples:
        assert sorted(after[len(before) :] for before, after in example.gold_spans()) == sorted(example.gold)
        assert score(example.gold_text(), example)["right"] == 1
        assert score("Nobody knows.", example)["right"] == 0


@pytest.mark.parametrize("passages", [4, 5, 10, 24])
def test_kinds_of_questions_about_two_passages_come_in_turn(passages):
    examples = examples_of(f"two-passages:passages={passages}", 6)
    assert [example.features["kind"] for example in examples] == ["bridge", "both", "total"] * 2
    for example in examples:
        assert len(passages_of(example)) == passages
        assert sum(any(gold in text for gold in example.gold) for text in passages_of(example)) == 2


def test_neither_passage_alone_answers_a_bridge():
    for example in examples_of("two-passages:kind=bridge", 20):
        owned, parent = example.gold
        [place] = example.answers
        asked = re.search(r"company that (.+) belongs to", example.question)[1]
        assert owned.startswith(asked)
        assert place not in owned
        assert asked not in parent
        owner = re.search(r"It belongs to (.+?), which", owned)[1]
        assert parent.startswith(f"{owner} has its head office in {place} ")
        # Every place is that of one company alone, so no other passage gives the answer.
        assert example.context.count(place) == 1


def test_one_of_two_places_is_half_right():
    for example in examples_of("two-passages:kind=both", 10):
        one, other = example.answers
        assert one != other
        assert score(f"{one} and {other}", example)["right"] == 1
        assert score(one, example)["right"] == 0.5


def test_a_total_is_the_sum_of_both_numbers():
    for example in examples_of("two-passages:kind=total", 10):
        staff = [int(re.search(r"employs ([\d,]+) people", text)[1].replace(",", "")) for text in example.gold]
        assert example.answers == (f"{sum(staff):,}",)
        assert score(f"{staff[0]}", example)["right"] == 0


def test_an_open_question_is_answered_as_far_as_its_passages_are_used():
    for example in examples_of("open-question:passages=6", 10):
        assert len(example.answers) == len(set(example.answers)) == len(passages_of(example)) == 6
        for place, text in zip(example.answers, passages_of(example), strict=True):
            assert text.startswith(f"Report of the site in {place}.")
        assert score(f"{example.answers[0]}, {example.answers[3]}", example)["right"] == pytest.approx(2 / 6)


@pytest.fixture
def trivia(tmp_path):
    rows = [
        {"question": f"Who built bridge {n}?", "answers": [f"Builder B{n:02}x"], "title": f"Bridge {n}",
         "text": f"Bridge {n} was built by Builder B{n:02}x in the year of the {n}th flood."}
        for n in range(12)
    ]  # fmt: skip
    path = tmp_path / "trivia.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_question_is_asked_at_five_positions_among_the_same_passages(trivia):
    text = f"multi-document:data={trivia},passages=9,position=each"
    examples = examples_of(text, 15)
    assert len({example.id for example in examples}) == 15
    for at in range(0, 15, 5):
        turn = examples[at : at + 5]
        assert len({example.question for example in turn}) == 1
        assert [example.features["position"] for example in turn] == [0, 0.25, 0.5, 0.75, 1]
        others = []
        for example in turn:
            texts = [re.sub(r"^Passage \d+ ", "", passage) for passage in passages_of(example)]
            assert example.gold[0] in texts.pop(round(example.features["position"] * 8))
            others.append(texts)
        assert all(texts == others[0] for texts in others)
    assert examples_of(text, 7) == examples[:7]
    assert len(examples_of(text, 1000)) == 60


def test_a_question_at_each_position_needs_its_passage(trivia):
    with pytest.raises(ConfigError, match="position=each needs the gold passage"):
        load_task(f"multi-document:data={trivia},position=each,gold=false")


def test_more_pairs_than_a_row_has_come_from_other_rows(tmp_path):
    rows = [
        {"ordered_kv_records": [[f"k{row}-{n}", f"v{row}-{n}"] for n in range(4)],
         "key": f"k{row}-1", "value": f"v{row}-1"}
        for row in range(5)
    ]  # fmt: skip
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples = examples_of(f"key-value:data={path},pairs=9", 5)
    assert [example.features["position"] for example in examples] == [0, 0.25, 0.5, 0.75, 1]
    for example in examples:
        pairs = json.loads(example.context)
        assert len(pairs) == 9
        key = re.search(r'Key: "(.+)"', example.question)[1]
        assert pairs[key] == example.answers[0]
        assert list(pairs).index(key) == example.features["position"] * 8
        own = key.split("-")[0]
        assert sum(name.startswith(f"{own}-") for name in pairs) == 4
    with pytest.raises(ConfigError, match="all rows together have 20 different keys"):
        examples_of(f"key-value:data={path},pairs=21")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("two-passages:passages=3", "passages=3 is not allowed: it is a whole number from 4 to 24"),
        ("two-passages:kind=three", "Use one of bridge, both, total"),
        ("open-question:passages=25", "from 2 to 24"),
    ],
)
def test_what_is_not_allowed_is_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        load_task(text)
