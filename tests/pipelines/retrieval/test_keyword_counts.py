"""Keywords and their counts: those of bm25s's tokenizer, whatever the texts."""

import re
import unicodedata
from collections import Counter

import bm25s
import Stemmer
from hypothesis import example, given
from hypothesis import strategies as st
from sra_pipelines.retrieval.keyword_counts import KeywordCounter, KeywordCounts
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import (
    LANGUAGES,
    first_words,
    language_of,
    language_of_passage,
    languages_of,
    stop_words,
)
from sra_pipelines.unicode_forms import searchable
from sra_pipelines.values import Passage

SIGNS = "\u00ad\u200b²₃½ﬁ①ΣσςİßÅéü\u0301\u0308 \u00a0’.,-_\n09"
TEXTS = st.text(st.sampled_from("abcdeinorst" + SIGNS) | st.characters(), max_size=60)
GERMAN = "Die Vermieterin haftet nicht für die Schäden, die an den Gebäuden durch das Hochwasser entstehen. "


def tokenized(texts, language="english"):
    """Return the keywords of texts as bm25s finds them."""
    return bm25s.tokenize(
        [plainly_searchable(text) for text in texts],
        token_pattern=r"(?u)\d+(?:[.,]\d+)*|[^\W\d_]+",
        stopwords=list(stop_words(language)),
        stemmer=Stemmer.Stemmer(language),
        return_ids=False,
        show_progress=False,
    )


def plainly_searchable(text):
    """Return a text in the form of `searchable`, without its shortcuts."""
    text = re.sub("[\u00ad\u200b\u2060\ufeff]", "", text)
    raised = "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉"
    text = re.sub(rf"(?<=[^\W_])(?<![{raised}])(?=[{raised}])", " ", text)
    return unicodedata.normalize("NFKC", text)


@given(TEXTS)
def test_texts_have_one_form_for_search(text):
    assert searchable(text) == plainly_searchable(text)


@given(st.lists(TEXTS, max_size=4), st.sampled_from(LANGUAGES))
@example(["Gebäude und Schäden in 500²", "the leases of 1,200.50 ²x"], "german")
def test_keywords_are_those_of_bm25s(texts, language):
    assert keywords(texts, language) == tokenized(texts, language)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["", GERMAN, GERMAN * 30])), min_size=1, max_size=4), TEXTS)
@example([("2. Rent²", "²The leases", ""), ("Σ", "\u0301Σ x leasing", "")], "a lease of leases")
def test_counts_are_those_of_the_names_and_the_text_together(parts, document):
    passages = [Passage(document, 0, "1", german + text, 0.0, section) for section, text, german in parts]
    counts = KeywordCounter().count(passages)
    unpacked = KeywordCounts.unpack(counts.pack())
    assert (unpacked.words, unpacked.languages.tolist()) == (counts.words, counts.languages.tolist())
    for kept, own in zip(unpacked.postings, counts.postings, strict=True):
        assert kept.tolist() == own.tolist()
    languages = languages_of([language_of_passage(first_words(passage.text)) for passage in passages])
    assert languages_of([language_of(passage.text, least=4) for passage in passages]) == languages
    assert [LANGUAGES[number] for number in counts.languages] == languages
    assert len(set(counts.words)) == len(counts.words)
    for row, (passage, language) in enumerate(zip(passages, languages, strict=True)):
        [words] = tokenized([f"{passage.document} {passage.section} {passage.text}"], language)
        counted = Counter()
        for number, word in enumerate(counts.words):
            place = counts.postings.of_word(number, counts.postings.order())
            rows = counts.postings.rows[place].tolist()
            if row in rows:
                counted[word] = counts.postings.counts[place][rows.index(row)]
        assert counted == Counter(words)
        assert counts.postings.lengths[row] == len(words)


def test_numbers_above_the_smallest_types_are_packed():
    passages = [Passage("d", 0, "1", text, 0.0) for text in ("lease " * 70_000, *["flood, rent"] * 300)]
    counts = KeywordCounter().count(passages)
    unpacked = KeywordCounts.unpack(counts.pack())
    for kept, own in zip(unpacked.postings, counts.postings, strict=True):
        assert kept.tolist() == own.tolist()
    assert unpacked.postings.lengths[0] == 70_001
