"""The language of passages and questions, and keyword search in it."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sra_pipelines.retrieval import languages
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import (
    LANGUAGES,
    first_words,
    language_of,
    language_of_passage,
    languages_of,
    stop_words,
)
from sra_pipelines.values import Passage

GERMAN = [
    "Die Vermieterin haftet nicht für die Schäden, die an den Gebäuden durch das Hochwasser entstehen.",
    "Der Mieter darf die Räume nur mit der Erlaubnis der Vermieterin an einen Dritten überlassen.",
]
FRENCH = [
    "Le prestataire répond des pannes de la cabine dans un délai de quatre heures, et les clés sont remises au gardien."
]
ENGLISH = [
    "The lessor is not liable for the damages that are caused to the buildings by a flood of the river.",
    "The customers that we have in Paris: Le Grand, La Rotonde, Les Halles, Chez Pierre et Fils, Au Pied de Cochon.",
]
TABLE = "Umsatz 412,6 447,9\nVorräte 98,2 104,6"


def passage(text, number, document="a"):
    return Passage(document, 0, "1", text, number * 1000, number * 1000 + len(text))


def languages_of_texts(texts):
    """Return the languages of the passages of one document."""
    return languages_of([language_of_passage(first_words(text)) for text in texts])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Was kostet die Miete im Monat?", "german"),
        ("Combien coûte le loyer pour un mois ?", "french"),
        ("¿Cuánto cuesta el alquiler de los locales?", "spanish"),
        ("What does the lease cost per month?", "english"),
        ("capex 3M 2018", None),
        ("", None),
    ],
)
def test_function_words_tell_the_language(text, expected):
    assert language_of(text) == expected


def test_few_function_words_tell_nothing_where_more_are_wanted():
    assert language_of("die Bilanz", least=4) is None


def test_a_table_has_the_language_of_its_document():
    assert languages_of_texts([*GERMAN, TABLE]) == ["german", "german", "german"]
    assert languages_of_texts([*ENGLISH[:1], TABLE]) == ["english", "english"]
    assert languages_of_texts([TABLE]) == ["english"]


def test_a_document_can_have_two_languages_and_a_list_of_names_is_none():
    assert languages_of_texts([*GERMAN, *FRENCH]) == ["german", "german", "french"]
    assert languages_of_texts([ENGLISH[0]] * 20 + [ENGLISH[1], *FRENCH]) == ["english"] * 22


def counted_by_sets(text, among, least):
    """What `language_of` returns, language by language: the words of the text that are function words of each."""
    words = Counter(re.findall(r"[^\W\d_]+", text[:2000].lower()))
    counts = {}
    for name in among:
        function_words = {word for word in stop_words(name) if len(word) > 1}
        if name == "english":
            function_words.update(*(words.split() for words in languages._ENGLISH_TOO))
        counts[name] = sum(words[word] for word in words.keys() & function_words)
    best = max(counts, key=lambda name: counts[name], default="english")
    if counts.get(best, 0) < least or list(counts.values()).count(counts[best]) > 1:
        return None
    if least > 1 and best != "english" and counts[best] < 1.5 * counts.get("english", 0):
        return None
    return best


FUNCTION_WORDS = sorted({word for name in LANGUAGES for word in stop_words(name)} | {"which", "Rent", "412", "İ"})


@given(
    st.lists(st.sampled_from(FUNCTION_WORDS) | st.text(max_size=5), max_size=40).map(" ".join),
    st.sets(st.sampled_from(LANGUAGES)),
    st.integers(1, 5),
)
@example("der die das " * 200 + "the " * 2000, set(LANGUAGES), 4)
def test_the_language_is_that_of_counting_each_languages_words(text, among, least):
    assert language_of(text, among, least) == counted_by_sets(text, among, least)
    assert language_of(text) == counted_by_sets(text, LANGUAGES, 1)


def test_words_are_stemmed_in_the_language_of_the_passage():
    texts = [*ENGLISH[:1], *GERMAN, *FRENCH]
    index = KeywordIndex([passage(text, n, document=f"d{n}") for n, text in enumerate(texts)])
    assert index.search("Wer zahlt einen Schaden am Gebäude?", 1)[0][0] == 1
    assert index.search("Wem darf ich den Raum überlassen?", 1)[0][0] == 2
    assert index.search("Combien de temps faut-il pour une panne ?", 1)[0][0] == 3
    assert index.search("Who pays for damage to a building?", 1)[0][0] == 0
    assert [number for number, _ in index.search("Gebäude building", 4)] == [1, 0]  # of no language: in all of them


def test_an_index_in_english_is_searched_as_ever():
    passages = [passage(text, n) for n, text in enumerate(ENGLISH)]
    for question in ("Who is liable for damages?", "Was kostet die Miete in Paris?"):
        words = keywords([question])[0]
        hits = [n for n, text in enumerate(keywords([f"a  {text}" for text in ENGLISH])) if set(words) & set(text)]
        assert sorted(number for number, _ in KeywordIndex(passages).search(question, 2)) == hits
