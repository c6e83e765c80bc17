"""Vectors of queries: what is kept, for which model, and for how long."""

import gc

import pytest
from llama_index.core.embeddings import MockEmbedding
from sra_pipelines.index import query_vectors
from sra_pipelines.index.query_vectors import query_vector


class Counting(MockEmbedding):
    """A model that counts what it embeds; the vectors differ by the length of the text."""

    queries: list[str] = []  # noqa: RUF012 - pydantic copies it for each model

    def _get_query_embedding(self, query):
        self.queries.append(query)
        return [3.0 * len(query), 4.0]


def test_only_queries_that_are_to_be_kept_are_kept():
    model = Counting(embed_dim=2)
    for _ in range(2):
        assert query_vector(model, "a") == pytest.approx([0.6, 0.8])
    assert model.queries == ["a", "a"]
    for _ in range(2):
        assert query_vector(model, "a", keep=True) == pytest.approx([0.6, 0.8])
    assert model.queries == ["a", "a", "a"]


def test_each_model_has_its_own_vectors_and_they_end_with_it():
    first, second = Counting(embed_dim=2), Counting(embed_dim=2)
    before = len(query_vectors._kept)
    query_vector(first, "a", keep=True)
    query_vector(second, "a", keep=True)
    assert second.queries == ["a"]
    assert len(query_vectors._kept) == before + 2
    del first, second
    gc.collect()
    assert len(query_vectors._kept) == before


def test_the_vectors_that_were_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(query_vectors, "_MOST_KEPT", 2)
    model = Counting(embed_dim=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        query_vector(model, text, keep=True)
    assert model.queries == ["a", "b", "c", "b"]
