"""The language of passages and questions, and keyword search in it."""

import pytest
from sra_pipelines.retrieval.keywords import KeywordIndex, keywords
from sra_pipelines.retrieval.languages import language_of, languages_of
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
    texts = [*GERMAN, TABLE, *ENGLISH[:1], TABLE, TABLE]
    documents = ["de", "de", "de", "en", "en", "unknown"]
    assert languages_of(texts, documents) == ["german", "german", "german", "english", "english", "english"]


def test_a_document_can_have_two_languages_and_a_list_of_names_is_none():
    assert languages_of([*GERMAN, *FRENCH], ["a"] * 3) == ["german", "german", "french"]
    assert languages_of([ENGLISH[0]] * 20 + [ENGLISH[1], *FRENCH], ["a"] * 22) == ["english"] * 22


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
