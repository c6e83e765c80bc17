from random import Random

import bm25s
import numpy as np
from sra_pipelines.retrieval.bm25 import Bm25
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.merging import PagesOfDocuments, by_page
from sra_pipelines.retrieval.postings import Postings, Vocabulary
from sra_pipelines.values import Passage

WORDS = [f"{first}{second}x" for first in "bcdfghklmn" for second in "bcdfghklmn"]
GERMAN = (
    "Der Mieter haftet für die Schäden an dem Gebäude, die er oder ein Dritter mit seiner Erlaubnis verursacht hat."
)


def passage(random, number, document="report", text=None):
    text = text or " ".join(random.choices(WORDS, range(len(WORDS), 0, -1), k=random.randint(1, 60)))
    return Passage(document, number, str(number + 1), text, start=0, end=len(text))


def expected(passages, question, limit):
    """What bm25s finds, which scores all passages in advance."""
    index = bm25s.BM25()
    index.index(keywords([f"{p.document} {p.section} {p.text}" for p in passages]), show_progress=False)
    scores = index.get_scores(keywords([question])[0])
    best = scores.argsort(kind="stable")[::-1][:limit]
    return [(int(number), float(scores[number])) for number in best if scores[number] > 0]


def test_the_scores_of_a_changed_index_are_those_of_bm25s():
    random = Random(0)
    passages = [passage(random, number) for number in range(300)]
    index = KeywordIndex(passages)
    for revision in range(40):
        first = random.randrange(len(passages) + 1)
        if revision % 3 == 2:
            passages = passages[:first] + passages[first + random.randint(1, 60) :]
        else:
            own = [passage(random, number, "letter") for number in range(random.randint(1, 30))]
            passages = passages[:first] + own + passages[first:]
        index = KeywordIndex(passages, index)
        question = " ".join([*random.choices(WORDS, k=6), "bbx", "bbx", "unknown"])
        limit = random.choice([1, 20, 1000])
        assert index.search(question, limit) == expected(passages, question, limit)  # the same bits, and order of ties
        [weight] = index.weights("bbx").values()
        n_containing = sum("bbx" in p.text.split() for p in passages)
        assert weight == np.log(1 + (len(passages) - n_containing + 0.5) / (n_containing + 0.5))


def test_moved_and_repeated_passages_have_their_scores():
    random = Random(1)
    passages = [passage(random, number) for number in range(30)]
    before = KeywordIndex(passages)
    for now in (passages[::-1], passages[10:20] + passages[:10], [*passages, passages[0]], [], passages * 2):
        index = KeywordIndex(now, before)
        assert index.search("bbx bcx", 99) == KeywordIndex(now).search("bbx bcx", 99)
        before = index
    assert before.search("bbx", 0) == []


def test_many_additions_make_few_blocks_and_removed_passages_are_left_out():
    random = Random(2)
    passages = [passage(random, number) for number in range(400)]
    index = None
    for end in range(1, len(passages) + 1):
        index = KeywordIndex(passages[:end], index)
        assert len(index._bm25._blocks) <= 2 + np.log(end) / np.log(4)
    for end in range(len(passages), 0, -7):
        index = KeywordIndex(passages[:end], index)
        assert sum(len(block.positions) for block in index._bm25._blocks) <= 2 * end
        assert index.search("bbx", 5) == expected(passages[:end], "bbx", 5)


def test_a_changed_index_knows_the_languages_of_its_passages():
    random = Random(3)
    english = [passage(random, number) for number in range(3)]
    german = [passage(random, 0, "vertrag", GERMAN)]
    both = KeywordIndex(german + english, KeywordIndex(english))
    assert both.search("Wer haftet für Schaden?", 1)[0][0] == 0
    again = KeywordIndex(english, both)
    assert again.search("Wer haftet für Schaden?", 1) == []
    assert again.search("bbx", 3) == KeywordIndex(english).search("bbx", 3)


def words_of(postings):
    """Return how often each passage contains each word, by word and passage."""
    order = postings.order()
    places = {int(word): postings.of_word(int(word), order) for word in postings.words}
    return {
        word: dict(zip(postings.rows[place].tolist(), postings.counts[place].tolist(), strict=True))
        for word, place in places.items()
        if place.stop > place.start
    }


def test_joined_postings_are_those_of_all_passages_together():
    one, other = [[3, 1, 3], [], [2]], [[1], [2, 2, 2, 5]]
    joined = Postings.joined([
        (Postings.of(one), np.array([True, True, False])),
        (Postings.of(other), np.array([True, True])),
    ])  # fmt: skip
    together = Postings.of([*one[:2], *other])
    for field, left, right in zip(Postings._fields, joined, together, strict=True):
        assert left.tolist() == right.tolist(), field
    assert words_of(together) == words_of(joined) == {1: {0: 1, 2: 1}, 2: {3: 3}, 3: {0: 2}, 5: {3: 1}}
    assert together.of_word(4, together.order()) == together.of_word(9, together.order()) == slice(0, 0)
    renumbered = together._replace(words=np.array([7, 0, 9, 2]))
    assert words_of(renumbered) == {0: {3: 3}, 2: {3: 1}, 7: {0: 1, 2: 1}, 9: {0: 2}}
    again = Postings.joined([(renumbered, np.array([False, True, True, True]))])
    assert words_of(again) == {0: {2: 3}, 2: {2: 1}, 7: {1: 1}}


def test_counts_above_the_smallest_type_are_kept():
    postings = Postings.of([[7] * 70_000, [7]])
    assert postings.counts.tolist() == [70_000, 1]
    scores = Bm25().changed(np.empty(0, np.int32), [(postings, np.array([0, 1], np.int32))]).scores([7])
    assert scores[0] > scores[1] > 0


def test_words_keep_their_numbers():
    vocabulary = Vocabulary()
    assert vocabulary.numbers(["a", "b", "a"]) == [0, 1, 0]
    assert vocabulary.numbers(["c", "b"]) == [2, 1]
    assert [vocabulary.number(word) for word in "abcd"] == [0, 1, 2, None]


def test_pages_by_document_are_the_pages():
    random = Random(4)
    passages = [passage(random, number // 2, document) for document in "ab" for number in range(4)]
    pages = by_page(passages)
    of_documents = {name: [passage for passage in passages if passage.document == name] for name in "ab"}
    assert dict(PagesOfDocuments(of_documents)) == pages
    assert len(PagesOfDocuments(of_documents)) == 4
    assert ("a", 9) not in PagesOfDocuments(of_documents)
    assert ("c", 0) not in PagesOfDocuments(of_documents)


def test_pages_are_grouped_when_one_of_a_document_is_asked_for():
    random = Random(5)
    of_documents = {name: [passage(random, number, name) for number in range(3)] for name in "abc"}
    pages = PagesOfDocuments(of_documents)
    assert pages.grouped("abc") == {}
    assert pages["a", 1] == of_documents["a"][1:2]
    assert pages["b", 2] == of_documents["b"][2:]
    assert pages.grouped("bc") == {"b": {number: [own] for number, own in enumerate(of_documents["b"])}}
    later = PagesOfDocuments({"b": []}, pages.grouped("bc"))
    assert later["b", 0] is pages["b", 0]
