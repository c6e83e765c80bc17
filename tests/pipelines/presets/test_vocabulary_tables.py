"""Vocabularies in preset files: those of the package, those of users, and errors that name the line."""

import dataclasses

import pytest
from sra_pipelines.presets import Preset, load_preset
from sra_pipelines.retrieval.vocabulary import VocabularyEntry

from sra_rag.errors import ConfigError

HEAD = "instruction = 'x'\n"
TABLE = """
[[vocabulary]]
topic = "valves"
asked = ["valves?", "taps?"]
written = ["shut-off device"]
"""
ENTRY = VocabularyEntry("valves", ("valves?", "taps?"), ("shut-off device",))


@pytest.fixture
def write(tmp_path):
    def write(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_presets_of_the_package():
    financial, legal = load_preset("financial").vocabulary, load_preset("legal").vocabulary
    assert load_preset("general").vocabulary == financial + legal
    assert {entry.documents for entry in financial} == {("filing",)}
    assert {entry.documents for entry in legal} == {("contract",)}
    for vocabulary in (financial, legal):
        names = [entry.topic for entry in vocabulary]
        assert len(set(names)) == len(names) > 15
        assert {entry.language for entry in vocabulary} == {"", "german", "french"}


def test_a_vocabulary_of_ones_own(write):
    assert load_preset(write(HEAD + TABLE)).vocabulary == (ENTRY,)
    typed = load_preset(write(HEAD + 'documents = ["contract"]\n' + TABLE + 'pages = ["clause: valve"]')).vocabulary
    assert typed == (dataclasses.replace(ENTRY, pages=("clause: valve",), documents=("contract",)),)
    assert load_preset(write(HEAD)).vocabulary == ()


def test_a_vocabulary_includes_others(write):
    write(HEAD + TABLE, "valves.toml")
    both = load_preset(write("vocabularies = ['legal', 'valves.toml']\n" + HEAD, "both.toml"))
    assert both.vocabulary == (*load_preset("legal").vocabulary, ENTRY)
    assert Preset("x", "y").vocabulary == ()


def test_a_file_that_is_included_needs_no_instruction(write):
    write('language = "french"\n' + TABLE, "valves.toml")
    both = load_preset(write("vocabularies = ['financial_german', 'valves.toml']\n" + HEAD, "both.toml"))
    assert both.vocabulary[-1] == dataclasses.replace(ENTRY, language="french")
    assert {entry.language for entry in both.vocabulary[:-1]} == {"german"}
    with pytest.raises(ConfigError, match="instruction is missing"):
        load_preset(write(TABLE))


def test_yaml(write):
    text = (
        "instruction: x\nvocabulary:\n  - topic: valves\n    asked: ['valves?', 'taps?']\n"
        "    written: [shut-off device]\n"
    )
    assert load_preset(write(text, "own.yaml")).vocabulary == (ENTRY,)
    bad = text + "  - topic: pumps\n    asked: ['(']\n    written: [pump]\n"
    with pytest.raises(ConfigError, match=r"bad.yaml, line 6 \(vocabulary table 2\): '\(' is not a regular expression"):
        load_preset(write(bad, "bad.yaml"))


def test_lines_of_a_yaml_file_are_counted_with_comments_and_empty_lines(write):
    text = "vocabulary:\n    # pumps\n    - {topic: a, asked: [b], written: [c]}\n\n    - topic: d\ninstruction: x\n"
    with pytest.raises(ConfigError, match=r"line 5 \(vocabulary table 2\): asked, written is missing"):
        load_preset(write(text, "own.yaml"))


def test_a_byte_order_mark_is_no_error(write):
    assert load_preset(write("\ufeff" + HEAD + TABLE)).vocabulary == (ENTRY,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE + "colour = 'red'", r"own.toml, line 3 \(vocabulary table 1\): unknown key 'colour'. Allowed are topic"),
        (TABLE + TABLE.replace('["shut-off device"]', "[1]"), r"line 8 \(vocabulary table 2\): written must be a list"),
        ("[[vocabulary]]\ntopic = 'a'\nwritten = ['b']", "line 2 .*: asked is missing. A table needs topic, asked"),
        ("[[vocabulary]]\ntopic = 3\nasked = ['a']\nwritten = ['b']", "topic must be a text, got 3"),
        ("[[vocabulary]]\ntopic = 'a'\nasked = ['(']\nwritten = ['b']", "'\\(' is not a regular expression"),
        ("[[vocabulary]]\ntopic = 'a'\nasked = []\nwritten = ['b']", "asked is empty"),
        (TABLE + "pages = ['profits']", "unknown kind of page 'profits'. Use income_statement, balance_sheet"),
        (TABLE + "documents = ['novel']", "Use filing, contract"),
        ("vocabulary = 'valves'", "vocabulary must be list"),
        ("vocabulary = ['valves']", "expected a table with topic"),
        ("vocabularies = ['own.toml']", "names own.toml, which includes this file"),
        ("vocabularies = ['medical']", "There is no preset 'medical'"),
        ("documents = [1]", "documents must be a list of names"),
        ("documents = ['novel']" + TABLE, r"own.toml: documents: unknown types \['novel'\]. Use filing, contract"),
        ('description = """\n[[vocabulary]]\n"""' + TABLE + "pages = ['x']", r"line 5 \(vocabulary table 1\): pages"),
        ("vocabulary = [{topic = 'a', asked = ['b'], written = []}]", "own.toml, line 2, vocabulary table 1: written"),
        (TABLE.replace("taps?", "taps)"), r"'taps\)' is not a regular expression: unbalanced .* position 4"),
    ],
)
def test_what_a_vocabulary_must_not_say(write, text, expected):
    with pytest.raises(ConfigError, match=expected):
        load_preset(write(HEAD + text))
