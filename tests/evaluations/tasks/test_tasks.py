"""Every task: seeded, as long as asked, its gold in its context, bad options refused; files are read or refused."""

import collections
import gzip
import json
import math
import re
import zlib
from pathlib import Path

import pytest
from llama_index.core.embeddings import BaseEmbedding
from sra_evaluations.examples import content_hash
from sra_evaluations.metrics import score
from sra_evaluations.tasks import load_task, task_names

from sra_rag.errors import ConfigError

DATA = Path(__file__).parents[4] / "shared" / "data"
GENERATED = [
    "needle",
    "needle:kind=several_keys",
    "needle:kind=several_values",
    "needle:kind=figures",
    "needle:kind=absent",
    "key-value:pairs=12",
    "variables",
    "variables:hops=0,chains=5",
    "conflicting",
    "conflicting:versions=8",
]
PROSE = [text for text in GENERATED if not text.startswith("key-value")]


def count_tokens(text):
    """Words and marks, about as many as a model has tokens."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def examples_of(text, count=10, seed=0):
    return load_task(text).examples(count, seed, count_tokens)


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def trivia(tmp_path):
    """Thirty questions, each with a passage of its own."""
    rows = [
        {"question": f"Who built bridge {n}?", "answers": [f"Builder B{n:02}x"], "title": f"Bridge {n}",
         "text": f"Bridge {n} was built by Builder B{n:02}x in the year of the {n}th flood."}
        for n in range(30)
    ]  # fmt: skip
    return write_rows(tmp_path / "trivia.jsonl", rows)


@pytest.mark.parametrize("text", GENERATED)
def test_examples_are_the_same_for_a_seed_and_others_for_another(text):
    assert content_hash(examples_of(text)) == content_hash(examples_of(text))
    same = {example.context for example in examples_of(text)} & {
        example.context for example in examples_of(text, 10, 1)
    }
    assert not same


@pytest.mark.parametrize("text", GENERATED)
def test_a_greater_limit_keeps_the_examples_of_a_smaller(text):
    assert examples_of(text, 20)[:7] == examples_of(text, 7)


@pytest.mark.parametrize("text", GENERATED)
def test_ids_differ_and_the_gold_stands_in_the_context(text):
    examples = examples_of(text, 20)
    assert len({example.id for example in examples}) == 20
    for example in examples:
        spans = example.gold_spans()
        assert len(spans) == len(example.gold)
        assert sorted(after[len(before) :] for before, after in spans) == sorted(example.gold)
        prompt = example.prompt()[0]["content"]
        assert all(prompt.startswith(after) for _, after in spans)
        for answer in example.answers:
            assert any(answer in gold for gold in example.gold)


@pytest.mark.parametrize("text", GENERATED)
def test_the_gold_answer_is_right_and_another_is_wrong(text):
    for example, other in zip(examples_of(text, 20), examples_of(text, 20, seed=1), strict=True):
        if example.answers:
            assert score(f"It is {example.gold_text()}.", example)["right"] == 1
            wrong = score(f"It is {other.gold_text()}.", example)
            assert wrong["exact_match"] == 0
            # Two amounts that were drawn at random may lie within the metric's tolerance of one percent.
            assert wrong["right"] == 0 or wrong["figures"] == 1
        else:
            assert score("The report does not say.", example)["right"] == 1
            assert score("It is copper-glacier-41.", example)["right"] == 0


@pytest.mark.parametrize("length", [300, 1000, 4000])
@pytest.mark.parametrize("text", PROSE)
def test_contexts_are_about_as_long_as_asked(text, length):
    written = f"{text}{',' if ':' in text else ':'}length={length}"
    for example in examples_of(written, 5):
        assert length - 30 <= count_tokens(example.context) <= length + 30


def test_a_length_that_the_facts_exceed_still_has_a_sentence_around_them():
    [example] = examples_of("needle:length=1", 1)
    assert example.context.count(".") == 2


def test_no_two_sentences_of_the_prose_are_alike():
    [example] = examples_of("needle:length=4000", 1)
    sentences = example.context.split(". ")
    assert len(sentences) > 100
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("kind", ["single", "several_keys", "figures"])
@pytest.mark.parametrize("depth", [0, 0.25, 0.5, 1])
def test_a_needle_lies_at_its_depth(kind, depth):
    for example in examples_of(f"needle:length=3000,kind={kind},depth={depth}", 3):
        [(before, after)] = example.gold_spans()
        begin = len(example.instruction) + 2
        lies = (len(before) - begin) / (len(example.context) - len(example.gold[0]))
        assert lies == pytest.approx(depth, abs=0.03)
        assert example.features["position"] == depth
        if depth in (0, 1):
            assert lies == depth
        assert after.endswith(example.gold[0])


def test_needles_go_through_five_depths_in_turn():
    depths = [example.features["position"] for example in examples_of("needle:length=200", 10)]
    assert depths == [0, 0.25, 0.5, 0.75, 1] * 2


def test_kinds_of_needles_differ_in_what_stands_in_the_text():
    fact = re.compile(r"The project (\S+) has the code name (\S+)\.")
    for kind, facts, keys in (("single", 1, 1), ("several_keys", 4, 4), ("several_values", 4, 1), ("absent", 3, 3)):
        for example in examples_of(f"needle:kind={kind}", 5):
            found = fact.findall(example.context)
            assert len(found) == facts
            assert len({key for key, _ in found}) == keys
            asked = [value for key, value in found if f"project {key}?" in example.question]
            assert sorted(asked) == sorted(example.answers)
            assert example.all_of == (kind == "several_values")


def test_a_code_name_is_no_name_of_a_project():
    fact = re.compile(r"The project (\S+) has the code name (\S+)\.")
    for example in examples_of("needle:kind=several_keys,length=1", 4000):
        keys, values = zip(*fact.findall(example.context), strict=True)
        assert not set(keys) & set(values)


def test_key_value_pairs_are_json_and_asked_at_five_positions_in_turn():
    examples = examples_of("key-value:pairs=9", 10)
    for example, at in zip(examples, [0, 2, 4, 6, 8] * 2, strict=True):
        records = json.loads(example.context)
        assert len(records) == 9
        key, value = list(records.items())[at]
        assert f'"{key}"' in example.question
        assert example.answers == (value,)
        assert example.features["position"] == at / 8
    [only] = examples_of("key-value:pairs=1", 1)
    assert only.features == {"pairs": 1, "position": 0}


def test_key_value_pairs_of_a_file_keep_the_neighbours_of_the_one_that_is_asked(tmp_path):
    records = [[f"clé {n}", f'value "{n}"'] for n in range(20)]
    rows = [{"ordered_kv_records": records, "key": f"clé {n}", "value": records[n][1]} for n in (0, 10, 19)]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    kept = {
        example.answers[0]: list(json.loads(example.context))
        for example in examples_of(f"key-value:data={path},pairs=5")
    }
    assert kept == {
        'value "0"': [f"clé {n}" for n in range(5)],
        'value "10"': [f"clé {n}" for n in range(8, 13)],
        'value "19"': [f"clé {n}" for n in range(15, 20)],
    }
    for example in examples_of(f"key-value:data={path},pairs=5"):
        assert len(example.gold_spans()) == 1


@pytest.mark.parametrize(
    "row", [{"ordered_kv_records": [["a", "b"]], "key": "c"}, {"ordered_kv_records": 5, "key": "c"}]
)
def test_key_value_rows_without_their_key_are_refused(tmp_path, row):
    path = write_rows(tmp_path / "pairs.jsonl", [row])
    with pytest.raises(ConfigError, match=r"pairs\.jsonl.*'c'"):
        examples_of(f"key-value:data={path}")


@pytest.mark.parametrize(("hops", "chains"), [(3, 2), (0, 4), (6, 1)])
def test_variables_lead_from_the_value_to_exactly_the_answers(hops, chains):
    for example in examples_of(f"variables:hops={hops},chains={chains},length=600"):
        value = re.search(r"value (\d+)\?", example.question)[1]
        names = set(re.findall(rf"(VAR\d+) is set to {value}\.", example.context))
        assert len(names) == 1
        handed = re.findall(r"(VAR\d+) is set to the value of (VAR\d+)\.", example.context)
        assert len(handed) == hops * chains
        for to, source in handed:  # in the order of the text: a name has its value before it is handed on
            names |= {to} if source in names else set()
        assert names == set(example.answers)
        assert example.all_of


def test_the_latest_of_conflicting_amendments_is_right_and_the_others_are_not():
    positions = collections.Counter()
    for example in examples_of("conflicting:versions=6,length=400", 200):
        found = re.findall(r"of 1 March (\d+) sets the yearly fee of (\S+) to ([\d,]+) crowns", example.context)
        assert len(found) == 6
        assert len({party for _, party, _ in found}) == 1
        assert example.answers == (max(found)[2],)
        for year, _, fee in found:
            assert score(fee, example)["right"] == (year == max(found)[0])
        positions[found.index(max(found))] += 1
    assert positions.keys() == set(range(6))


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
    for example in examples:
        place = re.search(r"the (\w+) of town", example.question)[1]
        passages = example.context.split("\n\n")
        assert len(passages) == 5
        assert sum(example.answers[0] in passage for passage in passages) == 1
        assert all(f"The {place}" in passage for passage in passages)
    assert len({example.id for example in examples}) == len(examples)

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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("haystack", "no task 'haystack'. Use one of needle, "),
        ("questions.csv", "no task 'questions.csv'"),
        ("needle:lenght=4", "'lenght=4' is no option of needle; it has length, depth, kind"),
        ("needle:length", "'length' is no option"),
        ("needle:length=long", "needle: length='long' is not allowed: it is a whole number"),
        ("needle:depth=deep", "needle: depth='deep' is not allowed: it is a number"),
        ("needle:length=0", "length=0"),
        ("needle:depth=1.5", "depth=1.5"),
        ("needle:depth=nan", "depth=nan"),
        ("needle:kind=double", "kind='double' is not allowed. Use one of single"),
        ("key-value:pairs=0", "pairs=0"),
        ("variables:hops=-1", "hops"),
        ("variables:chains=0", "chains"),
        ("variables:hops=99,chains=9", "500 names"),
        ("conflicting:versions=1", "versions"),
        ("multi-document", "multi-document:data=FILE.jsonl"),
        ("multi-document:data=x,position=10", "position=10"),
        (
            "multi-document:data=x,position=middle",
            "position=middle is not allowed: it is a number from 0 to 9, or random",
        ),
        ("multi-document:data=x,distractors=near", "distractors='near' is not allowed. Use one of any, similar"),
        ("multi-document:data=x,gold=maybe", "gold='maybe' is not allowed: it is true or false"),
        ("multi-document:data=x,skip=-1", "skip"),
        ("documents:tokens=0", "tokens=0"),
        ("documents:order=random", "order='random'"),
        ("own", "own:data=FILE.jsonl"),
        ("plain-text:tokens=3", "tokens=3"),
    ],
)
def test_what_is_not_allowed_is_refused_and_says_what_is(text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_task(text)


def test_options_are_read_as_what_they_are():
    task = load_task("multi-document:data=a/b=c.jsonl,passages=20,position=3,gold=False")
    assert (task.data, task.passages, task.position, task.gold) == (Path("a/b=c.jsonl"), 20, 3, False)
    assert load_task("needle:depth=1").depth == 1.0
    assert {load_task(name).name for name in task_names() if name not in {"multi-document", "own", "hub"}} == set(
        task_names()
    ) - {"multi-document", "own", "hub"}


def test_own_questions_are_read_from_a_file(tmp_path):
    rows = [
        {"id": "lease", "question": "How much?", "answers": ["82,400", "eighty"], "context": "It costs 82,400 crowns.",
         "instruction": "Be short.", "features": {"kind": "money", "position": 0.5}},
        {"question": "Who?", "answer": "Ada", "passages": ["Ada came.", "Bo left."]},
        {"question": "When?", "answer": None, "context": "Nothing."},
        {"question": "Where?", "answers": [], "context": "Nothing."},
        {"question": "Which?", "answers": ["Ada", "Bo"], "all_of": True, "passages": ["Ada came.", "Bo left."]},
        {"question": "How many?", "answer": 5, "context": "Five: 5."},
    ]  # fmt: skip
    for path in (tmp_path / "mine.jsonl", tmp_path / "mine.jsonl.gz", tmp_path / "windows.jsonl"):
        text = "\n".join(map(json.dumps, rows))
        if path.name == "windows.jsonl":
            path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        else:
            path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        first, who, when, where, which, many = examples_of(str(path))
        assert (first.id, first.instruction, first.context) == ("lease", "Be short.", "It costs 82,400 crowns.")
        assert first.answers == ("82,400", "eighty")
        assert first.features == {"kind": "money", "position": 0.5}
        assert first.question == "Question: How much?"
        assert (who.id, who.context, who.answers) == ("2", "Ada came.\n\nBo left.", ("Ada",))
        assert when.answers == where.answers == ()
        assert which.all_of
        assert score("Bo, then Ada", which)["right"] == 1
        assert many.answers == ("5",)
    chosen = [example.id for example in examples_of(f"own:data={path}", 3)]
    assert chosen == sorted(chosen, key=[example.id for example in examples_of(str(path))].index)
    assert set(chosen) < {example.id for example in examples_of(str(path), 4)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no rows"),
        ("{", "line 1: this is not valid JSON"),
        ('{"question": "q", "answer": "a", "context": "c"}\n[1]', "line 2: this is a list; each line must be"),
        ('{"answer": "a", "context": "c"}', "has no 'question'"),
        ('{"question": "q", "context": "c"}', "has no 'answer'"),
        ('{"question": "q", "answer": "a"}', "has no 'passages'"),
        ('{"question": "q", "answer": "a", "passages": "text"}', "'passages' is a list of texts"),
        ('{"question": "q", "answer": "a", "context": "c", "colour": 1}', "row 1 has colour; allowed are all_of"),
        ('{"question": "q", "answer": "a", "context": "c", "features": [1]}', "'features' maps names"),
        ('{"question": "q", "answer": "a", "context": "c", "features": {"x": [1]}}', "'features' maps names"),
        ('{"question": "q", "answer": "a", "context": "c", "all_of": "no"}', "'all_of' is true or false"),
        ('{"id": 2, "question": "q", "answer": "a", "context": "c"}\n{"question": "q", "answer": "a", "context": "c"}',
         "two rows have the same 'id'"),
    ],
)  # fmt: skip
def test_files_of_own_questions_that_cannot_be_used_say_why(tmp_path, content, says):
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(says)) as refused:
        examples_of(str(tmp_path / "mine.jsonl"))
    assert str(refused.value).startswith(str(tmp_path / "mine.jsonl"))


def test_files_that_cannot_be_read_say_so(tmp_path):
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    whole = gzip.compress(b'{"question": "q"}' * 100)
    (tmp_path / "torn.jsonl.gz").write_bytes(whole[:-12])
    (tmp_path / "bent.jsonl.gz").write_bytes(whole[:12] + b"\xff\xff\xff\xff" + whole[16:])
    (tmp_path / "plain.jsonl.gz").write_bytes(b"{}")
    for name in ("latin.jsonl", "torn.jsonl.gz", "bent.jsonl.gz", "plain.jsonl.gz", "missing.jsonl"):
        with pytest.raises(ConfigError, match=rf"{re.escape(name)}: cannot be read"):
            examples_of(str(tmp_path / name))


def test_plain_text_is_cut_in_two_parts_that_go_on_from_each_other(tmp_path):
    text = " ".join(f"word{n}" for n in range(400))
    path = write_rows(tmp_path / "texts.jsonl", [{"text": text}, {"text": "One two three four five."}])
    examples = examples_of(f"plain-text:data={path},tokens=100")
    assert len(examples) == 2
    for example in examples:
        [rest] = example.answers
        whole = example.context + rest
        assert example.plain
        assert text.startswith(whole) or whole == "One two three four five."
        assert len(example.context.split()) == pytest.approx(len(whole.split()) / 4, abs=1)
        assert example.prompt() == example.context
    assert max(count_tokens(example.context + example.answers[0]) for example in examples) == 100
    write_rows(path, [{"text": "one"}])
    with pytest.raises(ConfigError, match="no text is long enough"):
        examples_of(f"plain-text:data={path}")
    write_rows(path, [{"body": "one"}])
    with pytest.raises(ConfigError, match="has no 'text'"):
        examples_of(f"plain-text:data={path}")


def test_plain_text_of_the_sample_documents():
    examples = examples_of("plain-text:tokens=60", 6)
    assert len(examples) == 6
    assert examples == examples_of("plain-text:tokens=60", 6)
    assert examples != examples_of("plain-text:tokens=60", 6, seed=1)
    for example in examples:
        assert count_tokens(example.context + example.answers[0]) <= 90


def test_questions_about_the_sample_documents():
    examples = examples_of("documents:tokens=900", 6)
    assert len({example.id for example in examples}) == 6
    assert any(example.gold for example in examples)
    for example in examples:
        assert example.passages
        assert all(passage.text in example.context for passage in example.passages)
        assert count_tokens(example.context) <= 1000
        assert len(example.gold_spans()) == len(example.gold)
        assert all(passage.document.startswith(example.features["document"]) for passage in example.passages)
        assert bool(example.gold) == (example.features.get("gold page") == "in the context")


FILINGS = {
    "ACME.Q2.2023": ["ACME Corporation. Quarterly report.", "Capital expenditure was $1,577 million in 2023."],
    "BOLT_2022_10K": ["Bolt makes bolts. Its seat is Estrova.", "Revenue was $12.3 billion in 2022."],
}
FILED_QUESTIONS = [
    {"financebench_id": "fb_1", "company": "ACME", "doc_name": "ACME.Q2.2023", "answer": "$1577.00",
     "question": "What was capital expenditure in USD millions?",
     "evidence": [{"evidence_text": "Capital expenditure", "doc_name": "ACME.Q2.2023", "evidence_page_num": 1}]},
    {"id": "fb_2", "document": "BOLT_2022_10K.pdf", "question": "Where is the seat of Bolt?", "answer": "Estrova",
     "question_type": "text", "evidence": [{"page": 0, "text": "seat"}]},
    {"id": "fb_3", "document": "BOLT_2022_10K.pdf", "question": "Who audits Bolt?", "answer": None, "evidence": None},
]  # fmt: skip


@pytest.fixture
def filings(tmp_path):
    """A folder in the form of FinanceBench: questions, and PDFs in a folder of their own."""
    from fpdf import FPDF

    (tmp_path / "bench" / "pdfs").mkdir(parents=True)
    for name, pages in FILINGS.items():
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        for text in pages:
            pdf.add_page()
            pdf.multi_cell(0, 6, text)
        pdf.output(str(tmp_path / "bench" / "pdfs" / f"{name}.pdf"))
    write_rows(tmp_path / "bench" / "questions.jsonl", FILED_QUESTIONS)
    return tmp_path / "bench"


@pytest.mark.parametrize("kept", ["", pytest.param(",keep=KEEP", marks=pytest.mark.slow)])
def test_a_folder_of_filings_is_asked_document_by_document(filings, tmp_path, kept):
    for _ in range(2 if kept else 1):
        first, second, third = examples_of(f"documents:folder={filings}{kept.replace('KEEP', str(tmp_path / 'kept'))}")
        assert [first.id, second.id, third.id] == ["fb_1", "fb_2", "fb_3"]
        assert {passage.document for passage in first.passages} == {"ACME.Q2.2023"}
        assert first.gold_pages == (("ACME.Q2.2023", 1),)
        assert first.gold == (FILINGS["ACME.Q2.2023"][1],)
        assert first.features["gold page"] == "in the context"
        assert {passage.document for passage in third.passages} == {"BOLT_2022_10K"}
        assert (third.answers, third.gold_pages) == ((), ())
        said = score("Capital expenditure was $1,577 million in 2023.", first)
        assert (said["right"], said["citation_precision"], said["citation_recall"]) == (1, 1, 1)
        assert score("The seat of Bolt is Estrova.", second)["right"] == 1


def test_documents_without_their_gold_pages_are_not_answerable(filings):
    whole = {example.id: example for example in examples_of(f"documents:folder={filings}")}
    absent = examples_of(f"documents:folder={filings},gold=false")
    assert [example.id for example in absent] == ["fb_1-absent", "fb_2-absent"]
    for example in absent:
        original = whole[example.id.removesuffix("-absent")]
        assert (example.answers, example.gold) == ((), ())
        assert 0 < len(example.passages) < len(original.passages)
        assert not any(gold in example.context for gold in original.gold)
        assert score("The documents do not say.", example)["right"] == 1
    # What another page says too can be answered, so it is left out.
    write_rows(filings / "questions.jsonl", [FILED_QUESTIONS[1] | {"evidence": [{"page": 1}]}])
    assert examples_of(f"documents:folder={filings},gold=false") == []


def test_questions_can_be_asked_of_an_index(filings, tmp_path):
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.index.writer import add_documents

    add_documents(tmp_path / "index", [filings / "pdfs"], load_embedding, embedding_name="embedded", workers=0)
    examples = examples_of(f"documents:folder={filings / 'questions.jsonl'},index={tmp_path / 'index'}")
    assert all({passage.document for passage in example.passages} == set(FILINGS) for example in examples)
    assert [example.gold for example in examples] == [(FILINGS["ACME.Q2.2023"][1],), (FILINGS["BOLT_2022_10K"][0],), ()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"document": "NONE.pdf"}, "the document 'NONE.pdf' of the questions is neither here nor in pdfs/"),
        ({"evidence": [{"text": "x"}]}, "has no 'page'"),
        ({"evidence": ["x"]}, "'evidence' is a list of objects"),
        ({"question": ...}, "has no 'question'"),
        ({"answer": ...}, "has no 'answer'"),
    ],
)
def test_questions_about_documents_that_cannot_be_used_say_why(filings, change, says):
    row = {name: value for name, value in (FILED_QUESTIONS[1] | change).items() if value is not ...}
    write_rows(filings / "questions.jsonl", [row])
    with pytest.raises(ConfigError, match=re.escape(says)):
        examples_of(f"documents:folder={filings}")


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"shared/data/{path.name} is not there")


@needs(DATA / "multidoc_qa.jsonl.gz")
def test_real_rows_of_multi_document_questions():
    examples = examples_of(f"multi-document:data={DATA / 'multidoc_qa.jsonl.gz'},passages=20", 100)
    assert len(examples) == 100
    for example in examples:
        assert len(example.gold_spans()) == 1
        assert len(re.findall(r"^Passage \d+ \(Title", example.context, re.MULTILINE)) == 20
        assert score(example.answers[0], example)["right"] == 1
    holds = [any(a.lower() in example.gold[0].lower() for a in example.answers) for example in examples]
    assert sum(holds) > 90


@needs(DATA / "kv_retrieval_75.jsonl.gz")
def test_real_rows_of_key_value_pairs():
    path = DATA / "kv_retrieval_75.jsonl.gz"
    rows = map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines())
    values = {(row["key"], row["value"]) for row in rows}
    examples = examples_of(f"key-value:data={path},pairs=20", 50)
    assert len(examples) == 50
    for example in examples:
        assert (example.question.split('"')[1], example.answers[0]) in values
        assert example.features["pairs"] == 20
        assert len(example.gold_spans()) == 1


@pytest.mark.slow
@needs(DATA / "financebench" / "questions.jsonl")
def test_real_filings(tmp_path):
    folder = DATA / "financebench"
    examples = examples_of(f"documents:folder={folder},keep={tmp_path},tokens=1500", 6)
    found = [example.features["gold page"] == "in the context" for example in examples]
    assert len(found) == 6
    assert any(found)
    for example in examples:
        assert len(example.gold_spans()) == len(example.gold)
        assert math.isfinite(example.features.get("position", 0))
