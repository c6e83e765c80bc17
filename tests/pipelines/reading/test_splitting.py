"""Passages stand where they say, lose nothing, keep rows whole and know their heading."""

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sra_pipelines.reading.splitting import embedded_text, split_document
from sra_pipelines.values import Document, Heading, Page
from transformers import AutoTokenizer


def document(*texts, headings=()):
    pages = [Page(i, str(i + 1), text) for i, text in enumerate(texts)]
    if headings:
        pages = [
            Page(p.index, p.label, p.text, tuple(Heading(p.text.index(h), h) for h in headings if h in p.text))
            for p in pages
        ]
    return Document(Path("/a/b.pdf"), tuple(pages))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab cd.\n\t1,2é漢😀 "), max_size=3000), min_size=1, max_size=3))
def test_spans_are_exact_and_nothing_is_lost(texts):
    held = [bytearray(len(text)) for text in texts]
    for passage in split_document(document(*texts)):
        assert texts[passage.page_index][passage.start : passage.end] == passage.text
        held[passage.page_index][passage.start : passage.end] = b"\1" * len(passage.text)
    for text, marks in zip(texts, held, strict=True):
        assert all(mark or character.isspace() for character, mark in zip(text, marks, strict=True))


def test_a_row_is_never_torn():
    rows = [f"Row {i} of the table, in millions $ {i},123 {i}.5 (4,{i:03}) 82,400" for i in range(100)]
    passages = split_document(document("\n".join(rows)))
    assert len(passages) > 5
    for passage in passages:
        assert set(passage.text.split("\n")) <= set(rows)


def test_passages_fit_the_embedding_model(embedding):
    lines = [f"Net cash provided by (used in) item {i} $ {i},439 (1,{i:03}) 6.{i} %" for i in range(200)]
    prose = "The Company recorded additional net charges in the amount stated above. " * 60
    tokens = AutoTokenizer.from_pretrained(embedding.model_name)
    most = json.loads((Path(embedding.model_name) / "sentence_bert_config.json").read_text())["max_seq_length"]
    for passage in split_document(document("\n".join(lines), prose)):
        assert len(tokens(embedded_text(passage)).input_ids) <= most


def test_sections_carry_over_pages():
    filler = "Some words that fill the page and say nothing at all.\n" * 40
    found = split_document(
        document(f"Start\n{filler}Fees\n{filler}", filler, f"End\n{filler}", headings=("Start", "Fees", "End"))
    )
    by_page = [[p.section for p in found if p.page_index == page] for page in range(3)]
    assert by_page[0][0] == "Start"
    assert by_page[0][-1] == "Fees"
    assert set(by_page[1]) == {"Fees"}
    assert set(by_page[2]) == {"End"}
    assert {p.section for p in split_document(document(filler))} == {""}


def test_a_name_may_be_given():
    assert {p.document for p in split_document(document("text"))} == {"b"}
    assert {p.document for p in split_document(document("text"), "2023/b.pdf")} == {"2023/b.pdf"}


ALPHABETS = {
    "han": [chr(code) for code in range(0x4E00, 0x9FA0)],
    "base64": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "joined emoji": ["\U0001f469\u200d\U0001f4bb"],
    "hangul": "\u1100",
    "dots": ".",
    "spaces": " ",
}


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_text_without_spaces_splits_in_linear_time(alphabet):
    texts = ["".join(random.Random(0).choices(ALPHABETS[alphabet], k=k)) + "." for k in (6_000, 48_000)]
    split_document(document("the splitter is loaded"))
    seconds = []
    for text in texts:
        start = time.process_time()
        split_document(document(text))
        seconds.append(time.process_time() - start)
    assert seconds[1] < 20 * seconds[0] + 0.2  # quadratic: 64 times as long


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_long_words_lose_nothing_and_keep_their_characters_whole(data):
    unit = data.draw(st.sampled_from(["a", "é", "漢", "漢。", "e\u0301", "\U0001f469\u200d\U0001f4bb", "\u00a0", "\n"]))
    text = f"before {unit * data.draw(st.integers(1900, 9000))} after"
    held = bytearray(len(text))
    for passage in split_document(document(text)):
        assert text[passage.start : passage.end] == passage.text
        assert not passage.text.startswith(("\u0301", "\u200d"))
        held[passage.start : passage.end] = b"\1" * len(passage.text)
    assert all(mark or character.isspace() for character, mark in zip(text, held, strict=True))


def test_a_long_run_is_cut_after_a_sentence():
    text = ("漢" * 30 + "。") * 200
    ends = [passage.text[-1] for passage in split_document(document(text))]
    assert ends == ["。"] * len(ends)
