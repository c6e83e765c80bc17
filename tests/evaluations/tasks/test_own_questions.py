"""Questions in files of the user, and plain text: read, or refused with the reason."""

import gzip
import json
import re

import pytest
from sra_evaluations.metrics import score

from sra_rag.errors import ConfigError
from tests.evaluations.tasks.task_examples import count_tokens, examples_of, write_rows


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
