"""Presets: those that come with the package, files of one's own, and what an index makes of their splitting."""

import dataclasses

import pytest
from sra_pipelines import DocumentQA, Passage, add_documents
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.sections_and_units import cited_sections, lacking_unit_or_period
from sra_pipelines.checks.support import check_support
from sra_pipelines.commands.answering import warn_about_splitting
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import Preset, load_preset, preset_names, preset_path
from sra_pipelines.readers import read_document
from sra_pipelines.reading.splitting import Splitting, split_document
from sra_pipelines.retrieval.merging import by_page, merge_passages
from sra_pipelines.samples import sample_documents

from sra_rag.errors import ConfigError, SRAError

OWN = """
instruction = "Say what the manual says about {it}."
checks = ["section"]
[retrieval]
order = "ends"
context_tokens = 700
[splitting]
tokens = 100
overlap = 10
"""
OWN_YAML = """
name: manuals
instruction: Say what the manual says.
checks: [unit_and_period]
retrieval: {whole_pages: false}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_three_come_with_the_package():
    assert preset_names() == ["general", "financial", "legal"]
    assert {load_preset(name).name for name in preset_names()} == set(preset_names())
    assert load_preset("legal").checks == ("section", "terms", "dates")
    assert load_preset("financial").checks == ("unit_and_period", "arithmetic")
    assert load_preset("general").splitting == Splitting()


def test_a_file_of_ones_own(write):
    made = load_preset(write("manuals.toml", OWN))
    assert made == Preset(
        name="manuals", instruction="Say what the manual says about {it}.", checks=("section",), order="ends",
        context_tokens=700, splitting=Splitting(100, 10),
    )  # fmt: skip
    assert load_preset(str(write("other.yaml", OWN_YAML))).name == "manuals"
    assert not load_preset(write("other.yml", OWN_YAML)).whole_pages
    assert load_preset(made) is made


def test_what_is_printed_is_a_start_for_ones_own(write):
    for name in preset_names():
        copied = load_preset(write("mine.toml", preset_path(name).read_text(encoding="utf-8")))
        assert copied == load_preset(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("instruction = 'x'\ncolour = 'red'", "unknown key 'colour'. Allowed are name"),
        ("instruction = 3", "instruction must be str, got int"),
        ("name = 'x'", "instruction is missing"),
        ("instruction = ' '", "needs a name and an instruction"),
        ("instruction = 'x'\nchecks = ['spelling']", "use section, unit_and_period, arithmetic"),
        ("instruction = 'x'\nchecks = [1]", "checks must be a list of names"),
        ("instruction = 'x'\n[retrieval]\norder = 'random'", "use document, best_first"),
        ("instruction = 'x'\n[retrieval]\ncontext_tokens = true", "context_tokens must be int, got bool"),
        ("instruction = 'x'\n[retrieval]\ncontext_tokens = 0", "context_tokens=0"),
        ("instruction = 'x'\n[splitting]\ntokens = 3", "at least 16"),
        ("instruction = 'x'\n[splitting]\ntokens = 100\noverlap = 100", "below tokens=100"),
        ("instruction = ", "cannot be read"),
    ],
)
def test_what_a_file_must_not_say(write, text, expected):
    with pytest.raises(ConfigError, match=expected.replace("[", r"\[")):
        load_preset(write("bad.toml", text))


@pytest.mark.parametrize("text", ["- a\n- b", "!!python/object/apply:os.system ['true']", "a: [", "just words"])
def test_yaml_that_is_no_preset_is_refused_and_runs_nothing(write, text):
    with pytest.raises(ConfigError):
        load_preset(write("bad.yaml", text))


def test_a_preset_that_is_not_there():
    with pytest.raises(ConfigError, match="Use general, financial, legal"):
        load_preset("medical")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_preset("nowhere.toml")


def test_a_preset_is_what_the_model_is_asked_with(tiny_engine, write, make_pdf, embedding):
    index = DocumentIndex([read_document(make_pdf("a.pdf", "The valve closes at 82 degrees."))], embedding)
    own = write("manuals.toml", OWN)
    qa = DocumentQA(index, tiny_engine, preset=own)
    assert qa.context_tokens == 700
    assert qa.retriever.order == "ends"
    [message] = qa.retrieve("When does the valve close?").messages()
    assert message["content"].startswith("Say what the manual says about {it}.\n\n[a, page 1]")
    [general] = DocumentQA(index, tiny_engine).retrieve("When does the valve close?").messages()
    assert general["content"].startswith("Answer the question from the passages below and from nothing else.")
    assert DocumentQA(index, tiny_engine, preset=own, context_tokens=50).context_tokens == 50


def test_an_index_keeps_its_own_splitting(tmp_path, make_pdf):
    path = make_pdf("long.pdf", " ".join(f"Sentence number {n} says little." for n in range(120)))
    folder = tmp_path / "i.index"
    report = add_documents(folder, [path], load_embedding, workers=0, splitting=Splitting(64, 8))
    assert report.n_passages > add_documents(tmp_path / "j.index", [path], load_embedding, workers=0).n_passages
    other = make_pdf("other.pdf", " ".join(f"Sentence number {n} says nothing." for n in range(120)))
    added = add_documents(folder, [other], load_embedding, workers=0)
    assert added.n_passages == pytest.approx(report.n_passages, abs=3)
    assert max(len(p.text) for p in open_index(folder).passages()) < 500
    with pytest.raises(SRAError, match="64 tokens and an overlap of 8; requested are 220 and 32"):
        add_documents(folder, [other], load_embedding, workers=0, splitting=Splitting())


def test_a_splitting_that_is_not_the_presets_is_said(tmp_path, make_pdf, capsys, word_embedding):
    path, folder = make_pdf("a.pdf", "The valve closes at 82 degrees."), tmp_path / "i.index"
    add_documents(folder, [path], lambda: word_embedding, workers=0)
    stored = StoredIndex(folder, word_embedding)
    for silent in ("general", "financial"):
        warn_about_splitting(stored, load_preset(silent))
        assert capsys.readouterr().err == ""
    warn_about_splitting(stored, load_preset("legal"))
    said = capsys.readouterr().err
    assert "lines-220-32-2, but the preset 'legal' specifies lines-200-48-2-headings" in said
    assert "--preset legal" in said
    with pytest.raises(SRAError, match="Its passages do not start at headings; the requested ones start"):
        add_documents(folder, [path], lambda: word_embedding, splitting=Splitting(at_headings=True))


def test_a_splitting_is_known_again():
    assert Splitting.from_name(Splitting(100, 10).name) == Splitting(100, 10)
    for other in ("lines-100-10-999", "sentences-1", ""):
        assert Splitting.from_name(other) is None


def test_sections_are_named_where_a_quote_stands_under_one():
    text = "The Supplier shall pay service credits of 4.5% of the monthly charges."
    passage = Passage("contract", 3, "4", text, section="12. Service credits", start=10, end=10 + len(text))
    citations = cite("Service credits are 4.5% of the charges.", "What are they?", [passage])
    assert cited_sections(citations, by_page([passage])) == ["contract, page 4: under '12. Service credits'"]
    assert cited_sections(citations, by_page([dataclasses.replace(passage, section="")])) == []
    assert cited_sections(citations, by_page([dataclasses.replace(passage, page_index=9)])) == []


@pytest.mark.parametrize("splitting", [Splitting(), load_preset("legal").splitting], ids=["general", "legal"])
@pytest.mark.parametrize(
    ("answer", "page", "expected"),
    [
        ("The greater of £2,500,000 and 150 per cent of the Charges", 8, "13. Limits of liability', 13.2"),
        ("public liability insurance of at least £10,000,000", 8, "14. Insurance, term and renewal', 14.1"),
        ("liquidated damages of £4,500 up to a total of £54,000", 3, "2. Commencement and structure', 2.2"),
        ("3 per cent a year above the base rate of the Bank of England", 4, "5. Charges and payment', 5.5"),
    ],
)
def test_the_section_is_that_of_the_quote_where_a_page_has_several(splitting, answer, page, expected):
    [path] = [path for path in sample_documents() if "agreement" in path.name]
    pages = by_page(split_document(read_document(path), None, splitting))
    whole = merge_passages(pages["services_agreement", page])  # as packed: its own section is the page's first
    [citation, *_] = cite(answer, "What is it?", whole, pages)
    assert cited_sections([citation], pages) == [f"{citation}: under '{expected}"]


@pytest.mark.parametrize(
    ("answer", "question", "expected"),
    [
        ("Revenue was £518.2 million in 2025.", "", []),
        ("Revenue was 518.2 in 2025.", "", ["no unit is given with 518.2"]),
        ("Revenue was £518.2 million.", "What was revenue?", ["no period is given"]),
        ("Revenue was £518.2 million.", "What was revenue in 2025?", []),
        ("It was 518.2.", "What was revenue in 2025, in millions of pounds?", []),
        ("The company grew.", "", []),
        ("It employed 4,210 people at 30 September 2025.", "", []),
    ],
)
def test_figures_without_unit_or_period_are_noted(answer, question, expected):
    assert lacking_unit_or_period(answer, question, check_support(answer, question, ())) == expected
