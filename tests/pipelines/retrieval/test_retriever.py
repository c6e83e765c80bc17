"""Searching by meaning and words, merging what touches, packing to a budget, and looking again with a cross-encoder."""

import dataclasses
from random import Random

import pytest
from sra_pipelines.retrieval import revision
from sra_pipelines.retrieval.fusion import reciprocal_rank_fusion
from sra_pipelines.retrieval.keyword_counts import KeywordCounter
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import format_passages, pack_passages, ranks_of
from sra_pipelines.retrieval.reranking import Reranker
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from sra_rag.errors import ConfigError, ModelLoadError

PAGE = "The first sentence stands here. The second follows it.\nThe third is last of all."
TEXTS = [
    "Revenue grew in all regions of the group.",
    "Purchases of property, plant and equipment were 1,577 in FY2018.",
    "The lease of the warehouse costs 82,400 crowns a year.",
    "Ferry tickets are sold at the kiosk.",
]


def piece(start, end, page=0, score=0.0, text=PAGE, document="facts"):
    return Passage(document, page, str(page + 1), text[start:end], score, "", start, end)


class Shelf:
    """An index in which the ranking by meaning is given."""

    def __init__(self, texts, ranking):
        self.ranking, self.revision = ranking, 0
        self.given = [piece(0, len(text), i, text=text) for i, text in enumerate(texts)]

    @property
    def n_passages(self):
        return len(self.given)

    def passages(self):
        return self.given

    def search(self, question, limit, *, phrases=()):
        found = [dataclasses.replace(self.given[n], score=1 - i / 10) for i, n in enumerate(self.ranking)]
        return found[:limit]


def count_words(text):
    return len(text.split())


def test_fusion_is_the_published_formula():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]])
    assert fused == [("a", 1 / 61 + 1 / 62), ("c", 1 / 63 + 1 / 61), ("b", 1 / 62)]
    assert [item for item, _ in reciprocal_rank_fusion([["a", "b"], ["b", "a"]])] == ["a", "b"]
    assert reciprocal_rank_fusion([["a"], ["b"]], weights=(1, 2))[0] == ("b", 2 / 61)


def test_words_are_stemmed_and_years_found_in_what_surrounds_them():
    assert keywords(["The leases of FY2018: 82,400"]) == [["leas", "fy", "2018", "82,400"]]
    index = KeywordIndex([piece(0, len(text), i, text=text) for i, text in enumerate(TEXTS)])
    assert index.search("What does leasing cost?", 4)[0][0] == 2
    assert index.search("2018", 4)[0][0] == 1
    assert index.search("of the", 4) == index.search("zzz", 4) == index.search("", 4) == []
    assert KeywordIndex([]).search("lease", 4) == []
    scores = [score for _, score in index.search("lease of property and ferry tickets", 4)]
    assert scores == sorted(scores, reverse=True)


def test_an_updated_keyword_index_gives_the_scores_of_a_new_one():
    random = Random(0)
    words = [f"word{chr(97 + n)}" for n in range(12)]
    everything = [
        piece(0, 9, number, text=" ".join(random.choices(words, k=random.randint(3, 40)))) for number in range(60)
    ]
    index, revisions = None, []
    for passages in (everything[:20], everything[10:50], everything[45:], everything[55:58], [], everything):
        index = KeywordIndex(passages, index)
        revisions.append((index, passages))
    for index, passages in revisions:  # also those that were updated since
        for question in ("worda", "wordb wordc wordd wordb", "worde unknown"):
            assert index.search(question, 99) == KeywordIndex(passages).search(question, 99)


def test_an_update_computes_the_words_of_new_passages_only(monkeypatch):
    passages = [piece(0, len(text), i, text=text) for i, text in enumerate(TEXTS)]
    before = KeywordIndex(passages[:2])
    seen = []
    count = KeywordCounter.count
    monkeypatch.setattr(KeywordCounter, "count", lambda self, own: seen.extend(own) or count(self, own))
    KeywordIndex(passages, before)
    assert seen == passages[2:]


def test_section_and_document_are_searched_too():
    named = dataclasses.replace(piece(0, 9), section="Termination", document="harbour_lease")
    index = KeywordIndex([piece(0, 9), named])
    assert [n for n, _ in index.search("termination", 2)] == [1]
    assert [n for n, _ in index.search("harbour", 2)] == [1]


def test_the_fused_ranking_draws_on_both_searches():
    shelf = Shelf(TEXTS, [0, 3, 2, 1])
    question = "What were purchases of property in 2018?"
    assert [p.page_index for p in Retriever(shelf, method="dense").search(question)] == [0, 3, 2, 1]
    assert Retriever(shelf, method="keywords").search(question)[0].page_index == 1
    fused = Retriever(shelf).search(question)
    assert {p.page_index for p in fused} == {0, 1, 2, 3}
    assert fused[0].page_index == 1  # last by meaning, first by words
    assert len(Retriever(shelf).search(question, 2)) == 2


def test_a_changed_index_is_searched_anew():
    shelf = Shelf(TEXTS, [0])
    retriever = Retriever(shelf, method="keywords")
    assert retriever.search("tulips") == []
    shelf.given = [*shelf.given, piece(0, 12, 9, text="Tulips bloom")]
    assert retriever.search("tulips") == []  # the revision says that nothing changed
    shelf.revision = 1
    assert retriever.search("tulips")[0].page_index == 9


def test_passages_that_the_index_groups_are_not_grouped_again(monkeypatch):
    shelf = Shelf(TEXTS, [0, 1, 2, 3])
    expected = dict(Retriever(shelf).pages())
    shelf.passages_of_documents = lambda: {"facts": shelf.given}
    monkeypatch.setattr(revision, "_by_document", None)
    assert dict(Retriever(shelf).pages()) == expected


def test_groups_of_another_revision_are_not_used():
    facts = [piece(0, len(text), i, text=text) for i, text in enumerate(TEXTS)]
    other = [dataclasses.replace(passage, document="other") for passage in facts]
    for given, groups in (
        ([*facts, *other], {"facts": facts}),
        (other, {"facts": facts, "other": other}),
        ([*facts, *other[::-1]], {"facts": facts, "other": other}),
    ):
        shelf = Shelf(TEXTS, [0, 1, 2, 3])
        shelf.given, shelf.passages_of_documents = given, lambda groups=groups: groups
        assert [passage for page in Retriever(shelf).pages().values() for passage in page] == given


def test_what_overlaps_or_touches_becomes_one():
    merged = merge_passages([piece(55, 80, score=0.2), piece(0, 40, score=0.9), piece(32, 54)])
    assert len(merged) == 1
    assert (merged[0].text, merged[0].start, merged[0].end) == (PAGE, 0, 80)
    assert merged[0].score == 0.9
    assert merge_passages([piece(0, 40), piece(10, 20)]) == [piece(0, 40)]
    apart = [piece(0, 10), piece(20, 30)]
    assert merge_passages(apart) == apart


def test_what_does_not_stand_where_it_says_is_left_alone():
    liar = dataclasses.replace(piece(32, 54), text="x" * 22)
    assert merge_passages([piece(0, 40), liar]) == [piece(0, 40), liar]
    unplaced = [Passage("facts", 0, "1", "a"), Passage("facts", 0, "1", "b")]
    assert merge_passages(unplaced) == unplaced


def test_no_text_is_given_twice():
    packed = pack_passages([piece(0, 40), piece(20, 54), piece(30, 80)], 100, count_words)
    assert [p.text for p in packed] == [PAGE]


def test_merging_saves_room():
    pieces = [piece(0, 40), piece(20, 54)]
    merged = count_words(format_passages(merge_passages(pieces))) + 2
    assert len(pack_passages(pieces, merged, count_words)[0].text) == 54


@pytest.mark.parametrize(
    ("order", "pages"),
    [
        ("document", [0, 1, 2, 3, 4]),
        ("best_first", [4, 2, 0, 3, 1]),
        ("best_last", [1, 3, 0, 2, 4]),
        ("ends", [4, 0, 1, 3, 2]),
    ],
)
def test_the_order_is_a_setting(order, pages):
    ranked = [piece(0, 9, page) for page in (4, 2, 0, 3, 1)]
    assert [p.page_index for p in pack_passages(ranked, 500, count_words, order=order)] == pages


def test_a_page_found_for_the_most_part_is_given_whole():
    pieces = [piece(0, 31), piece(32, 54), piece(55, 80)]
    pages = {("facts", 0): pieces}
    assert [p.text.split() for p in pack_passages(pieces[:1], 40, count_words, pages=pages)] == [
        PAGE.split()
    ]  # room is left
    assert [p.text for p in pack_passages(pieces[:1], 11, count_words, pages=pages)] == [pieces[0].text]  # none is


def test_most_of_a_page_goes_before_the_next_passage():
    long = "word " * 39 + "end"
    pieces = [piece(0, 160, text=long), piece(160, len(long), text=long)]
    other = piece(0, 54, 1)
    budget = count_words(format_passages([piece(0, len(long), text=long)])) + 2
    packed = pack_passages([pieces[0], other], budget, count_words, pages={("facts", 0): pieces})
    assert [(p.page_index, p.end) for p in packed] == [(0, len(long))]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A folder with a tiny cross-encoder of random weights."""
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "lease", "warehouse", "revenue", "ferry", "tickets", "the", "of"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_cross_encoder_looks_again(cross_encoder):
    reranker = Reranker(str(cross_encoder))
    shelf = Shelf(TEXTS, [0, 1, 2, 3])
    found = Retriever(shelf, reranker=reranker).search("lease of the warehouse")
    scores = reranker.model.predict([("lease of the warehouse", text) for text in TEXTS], show_progress_bar=False)
    assert {p.page_index: p.score for p in found} == pytest.approx(dict(enumerate(map(float, scores))), abs=1e-5)
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert reranker.rerank("lease", []) == []


def test_what_cannot_be_is_refused(tmp_path, cross_encoder):
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        Reranker(str(tmp_path / "nothing"))
    three = tmp_path / "three"
    three.mkdir()
    for file in cross_encoder.iterdir():
        (three / file.name).write_bytes(file.read_bytes())
    BertForSequenceClassification.from_pretrained(
        cross_encoder, num_labels=3, ignore_mismatched_sizes=True
    ).save_pretrained(three)
    with pytest.raises(ModelLoadError, match="3 scores"):
        Reranker(str(three))
    with pytest.raises(ConfigError, match="method"):
        Retriever(Shelf(TEXTS, []), method="both")
    with pytest.raises(ConfigError, match="order"):
        Retriever(Shelf(TEXTS, []), order="random")
    with pytest.raises(ConfigError, match="order"):
        pack_passages([], 10, count_words, order="random")


def test_a_cross_encoder_that_fails_without_a_message_is_one_error(monkeypatch):
    def fail(*_, **__):
        raise ValueError

    monkeypatch.setattr("sra_pipelines.retrieval.reranking.CrossEncoder", fail)
    with pytest.raises(ModelLoadError, match=r"'somebody/model' could not be loaded: ValueError\. Give a name"):
        Reranker("somebody/model")


def test_a_packed_passage_has_the_rank_of_its_best_part():
    last, first, other = piece(55, 80), piece(0, 31), piece(0, 31, page=1)
    hits = [last, other, first]
    assert ranks_of(pack_passages(hits, 100, count_words), hits) == [2, 0, 1]
    [whole] = merge_passages([piece(0, 40), piece(32, 80)])
    assert ranks_of([whole, other], [other, last, first]) == [1, 0]
    assert ranks_of([piece(0, 31, document="another")], hits) == [3]


def test_the_ranks_of_what_was_retrieved_are_those_of_the_search():
    retriever = Retriever(Shelf(TEXTS, [2, 0, 3, 1]), method="dense")
    found = retriever.retrieve_expanded("What does the lease cost?", 200, count_words)
    assert [one.page_index for one in found.passages] == [0, 1, 2, 3]
    assert list(found.ranks) == [1, 3, 0, 2]
