"""A question among passages: where the gold one is, which the others are, and files that are read or refused."""

import collections
import re
import zlib

import pytest
from llama_index.core.embeddings import BaseEmbedding
from sra_evaluations.metrics import score
from sra_evaluations.tasks.multi_document import _unit_rows

from sra_rag.errors import ConfigError
from tests.evaluations.tasks.task_examples import DATA, examples_of, write_rows


@pytest.fixture
def trivia(tmp_path):
    """Thirty questions, each with a passage of its own."""
    rows = [
        {"question": f"Who built bridge {n}?", "answers": [f"Builder B{n:02}x"], "title": f"Bridge {n}",
         "text": f"Bridge {n} was built by Builder B{n:02}x in the year of the {n}th flood."}
        for n in range(30)
    ]  # fmt: skip
    return write_rows(tmp_path / "trivia.jsonl", rows)


def test_multi_document_puts_the_gold_passage_where_it_is_asked(trivia):
    for at in (0, 3, 7):
        for example in examples_of(f"multi-document:data={trivia},passages=8,position={at}", 30):
            passages = example.context.split("\n\n")
            assert len(passages) == 8
            assert [n for n, passage in enumerate(passages) if example.answers[0] in passage] == [at]
            assert passages[at].endswith(example.gold[0])
            assert example.features == {"passages": 8, "position": at / 7}
            assert len(example.gold_spans()) == 1
    turns = [example.features["position"] for example in examples_of(f"multi-document:data={trivia},passages=9", 10)]
    assert turns == [0, 0.25, 0.5, 0.75, 1] * 2


def test_multi_document_at_random_positions_takes_all_of_them_and_the_same_for_a_seed(trivia):
    text = f"multi-document:data={trivia},passages=4,position=random"
    examples = examples_of(text, 30)
    positions = collections.Counter()
    for example in examples:
        passages = example.context.split("\n\n")
        [at] = [n for n, passage in enumerate(passages) if example.answers[0] in passage]
        assert example.features["position"] == at / 3
        positions[at] += 1
    assert positions.keys() == set(range(4))
    assert examples_of(text, 30) == examples
    assert examples_of(text, 7) == examples[:7]
    assert examples_of(text, 30, seed=1) != examples


class Words(BaseEmbedding):
    """Counts hashed words: near where texts share words. Counts the texts that it was asked for, too."""

    embedded: list = []  # noqa: RUF012 - a field of pydantic, of each model its own

    def _get_text_embedding(self, text):
        self.embedded.append(text)
        counts = [1e-6] * 512
        for word in re.findall(r"\w+", text.lower()):
            counts[zlib.crc32(word.encode()) % 512] += 1.0
        return counts

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


def test_similar_distractors_are_the_nearest_to_the_question(tmp_path, monkeypatch):
    places = ["harbour", "castle", "abbey", "market"]
    rows = [
        {"question": f"Who built the {place} of town {n}?", "answers": [f"Builder {place}{n}"], "title": f"The {place}",
         "text": f"The {place} of town {n} was built by Builder {place}{n}."}
        for n in range(6) for place in places
    ]  # fmt: skip
    rows.append(
        {"question": "q", "answers": ["a"], "title": "The castle castle", "text": "castle, by Builder castle1."}
    )
    path = write_rows(tmp_path / "places.jsonl", rows)
    model = Words(model_name="words")
    monkeypatch.setattr("sra_pipelines.index.embedding.load_embedding", lambda name: model)
    text = f"multi-document:data={path},passages=5,distractors=similar"

    def answerable(text):
        return [example for example in examples_of(text, 25) if example.question != "Question: q"]

    examples = answerable(text)
    embedded = list(model.embedded)
    for example in examples:
        place = re.search(r"the (\w+) of town", example.question)[1]
        passages = example.context.split("\n\n")
        assert len(passages) == 5
        assert sum(example.answers[0] in passage for passage in passages) == 1
        assert all(f"The {place}" in passage for passage in passages)
        [of_question] = _unit_rows([model.get_query_embedding(example.question.removeprefix("Question: "))])
        texts = [re.sub(r"^Passage \d+ \(Title: (.*)\)\n", r"\1\n", passage) for passage in passages]
        expected = _unit_rows(model.get_text_embedding_batch(texts)) @ of_question
        assert example.passage_scores == pytest.approx(expected.tolist())
    assert len({example.id for example in examples}) == len(examples)

    model.embedded[:] = embedded  # without those of the test itself
    passages = [f"{row['title']}\n{row['text']}" for row in rows]
    assert sum(embedded in passages for embedded in model.embedded) == len(rows)
    assert answerable(text) == examples
    examples_of(f"{text},position=0", 25)
    absent = answerable(f"{text},gold=false")
    assert all(len(example.context.split("\n\n")) == 5 and not example.answers for example in absent)
    # The passages were not embedded again, neither for the same task nor for others over the same file.
    assert sum(embedded in passages for embedded in model.embedded) == len(rows)

    def load_none(name):
        pytest.fail("an embedding model was loaded")

    monkeypatch.setattr("sra_pipelines.index.embedding.load_embedding", load_none)
    examples_of(f"multi-document:data={path},passages=5", 25)


def test_multi_document_without_its_passage_asks_for_a_refusal(trivia):
    for example in examples_of(f"multi-document:data={trivia},passages=8,gold=false", 30):
        number = re.search(r"bridge (\d+)", example.question)[1]
        assert len(example.context.split("\n\n")) == 8
        assert f"B{int(number):02}x" not in example.context
        assert (example.answers, example.gold) == ((), ())
        assert score("The passages do not say.", example)["right"] == 1


def test_multi_document_can_leave_rows_out_and_be_asked_for_more(trivia):
    whole = [example.question for example in examples_of(f"multi-document:data={trivia}", 30)]
    assert len(set(whole)) == 30
    assert [example.question for example in examples_of(f"multi-document:data={trivia},skip=20", 30)] == whole[20:]
    assert examples_of(f"multi-document:data={trivia}", 30)[:4] == examples_of(f"multi-document:data={trivia}", 4)
    with pytest.raises(ConfigError, match="skip=30 leaves none"):
        examples_of(f"multi-document:data={trivia},skip=30")
    with pytest.raises(ConfigError, match="30 rows are too few for 31"):
        examples_of(f"multi-document:data={trivia},passages=31")


def test_a_distractor_that_holds_the_answer_is_none(tmp_path):
    rows = [{"question": f"q{n}", "answers": "Ada", "title": "t", "text": f"ADA wrote {n}."} for n in range(3)]
    rows += [{"question": f"r{n}", "answers": ["Bo"], "title": "t", "text": f"Bo wrote {n}."} for n in range(3)]
    path = write_rows(tmp_path / "writers.jsonl", rows)
    for example in examples_of(f"multi-document:data={path},passages=3"):
        assert sum(answer in passage.lower() for passage in example.context.split("\n\n") for answer in
                   [example.answers[0].lower()]) == 1  # fmt: skip
        assert example.answers in {("Ada",), ("Bo",)}
    write_rows(path, [*rows, {"question": "s", "answers": ["x"], "title": "t"}])
    with pytest.raises(ConfigError, match=r"writers\.jsonl: a row has no 'text'"):
        examples_of(f"multi-document:data={path},passages=3")


def test_real_rows_of_multi_document_questions():
    examples = examples_of(f"multi-document:data={DATA / 'multidoc_qa.jsonl.gz'},passages=20", 100)
    assert len(examples) == 100
    for example in examples:
        assert len(example.gold_spans()) == 1
        assert len(re.findall(r"^Passage \d+ \(Title", example.context, re.MULTILINE)) == 20
        assert score(example.answers[0], example)["right"] == 1
    holds = [any(a.lower() in example.gold[0].lower() for a in example.answers) for example in examples]
    assert sum(holds) > 90
