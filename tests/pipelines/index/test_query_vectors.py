"""Vectors of queries and phrases: what is kept, for which model, where, and for how long."""

import gc
import logging

import numpy as np
import pytest
from llama_index.core.embeddings import MockEmbedding
from sra_pipelines.index import query_vectors
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.phrase_file import PhraseFile
from sra_pipelines.index.query_vectors import query_vector

PHRASES = ("net sales", "total assets", "fees")


class Counting(MockEmbedding):
    """A model that counts what it embeds; the vectors differ by the length of the text."""

    queries: list[str] = []  # noqa: RUF012 - pydantic copies it for each model
    texts: list[str] = []  # noqa: RUF012 - pydantic copies it for each model
    slope: float = 1.0
    query_slope: float = 1.0  # of queries; other than `slope` in a model that embeds them in another way

    def _get_query_embedding(self, query):
        self.queries.append(query)
        return [self.query_slope * len(query), 4.0]

    def _get_text_embedding(self, text):
        self.texts.append(text)
        return [self.slope * len(text), 4.0]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("sra_pipelines.index.phrase_file.cache_folder", lambda: tmp_path)
    return tmp_path


def test_the_question_of_a_user_is_not_kept(cache):
    model = Counting(embed_dim=2)
    for _ in range(2):
        assert query_vector(model, "abc") == pytest.approx([0.6, 0.8])
        assert query_vector(model, "abc", phrases=PHRASES) == pytest.approx([0.6, 0.8])
    assert model.queries == ["abc"] * 4
    assert list(cache.iterdir()) == []


def test_all_phrases_are_embedded_together_when_the_first_is_searched():
    model = Counting(embed_dim=2)
    for phrase in PHRASES:
        assert query_vector(model, phrase, phrases=PHRASES) == pytest.approx(query_vector(model, phrase))
    assert model.texts[1:] == list(PHRASES)  # the first text is the probe of the model


def test_another_process_embeds_no_phrase_again():
    first, second = Counting(embed_dim=2), Counting(embed_dim=2)
    identity = EmbeddingIdentity.of(first)
    vectors = [query_vector(first, phrase, phrases=PHRASES, identity=identity) for phrase in PHRASES]
    again = [query_vector(second, phrase, phrases=PHRASES, identity=identity) for phrase in PHRASES]
    assert np.array_equal(vectors, again)
    assert second.texts == second.queries == []
    assert query_vector(second, "new", phrases=("new", *PHRASES), identity=identity) == pytest.approx([0.6, 0.8])
    assert second.texts == ["new"]
    assert sorted(PhraseFile(identity).read()) == sorted(["new", *PHRASES])


def test_a_model_of_the_same_name_with_other_weights_does_not_take_the_vectors():
    first, other = Counting(embed_dim=2), Counting(embed_dim=2, slope=0.1, query_slope=0.1)
    query_vector(first, "fees", phrases=PHRASES)
    assert query_vector(other, "fees", phrases=PHRASES) == pytest.approx(query_vector(other, "fees"))
    assert other.texts[1:] == list(PHRASES)


def test_a_model_that_embeds_queries_in_another_way_embeds_phrases_as_queries():
    model = Counting(embed_dim=2, query_slope=0.01)
    assert query_vector(model, "fees", phrases=PHRASES) == pytest.approx(query_vector(model, "fees"))
    assert model.queries[1:] == [*PHRASES, "fees"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half"])
def test_a_damaged_file_is_replaced(content, caplog):
    identity = EmbeddingIdentity.of(Counting(embed_dim=2))
    path = PhraseFile(identity).path
    path.parent.mkdir()
    path.write_bytes(content)
    with caplog.at_level(logging.INFO):
        query_vector(Counting(embed_dim=2), "fees", phrases=PHRASES)
    assert "embedded again" in caplog.text
    assert list(PhraseFile(identity).read()) == list(PHRASES)
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_costs_time_only(cache, caplog):
    (cache / "phrases").write_text("a file where the folder must be")
    model = Counting(embed_dim=2)
    with caplog.at_level(logging.INFO):
        assert query_vector(model, "fees", phrases=PHRASES) == pytest.approx(query_vector(model, "fees"))
    assert "cannot be written" in caplog.text


def test_each_model_has_its_own_vectors_and_they_end_with_it():
    first, second = Counting(embed_dim=2), Counting(embed_dim=2)
    before = len(query_vectors._kept)
    query_vector(first, "fees", phrases=PHRASES)
    query_vector(second, "fees", phrases=PHRASES)
    assert len(query_vectors._kept) == before + 2
    del first, second
    gc.collect()
    assert len(query_vectors._kept) == before


def test_the_phrases_that_were_used_last_are_kept_and_never_fewer_than_a_vocabulary_has(monkeypatch):
    monkeypatch.setattr(query_vectors, "_MOST_KEPT", 2)
    model = Counting(embed_dim=2)
    identity = EmbeddingIdentity.of(model)
    for phrases in (PHRASES, ("a",), ("b", "c")):
        query_vector(model, phrases[0], phrases=phrases, identity=identity)
    assert list(query_vectors._kept[id(model)].vectors) == ["b", "c"]
    assert list(PhraseFile(identity).read()) == ["b", "c"]
    query_vector(model, "fees", phrases=PHRASES, identity=identity)
    assert list(query_vectors._kept[id(model)].vectors) == list(PHRASES)
