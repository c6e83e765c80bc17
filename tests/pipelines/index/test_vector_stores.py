"""All vector stores keep one contract: FAISS, Qdrant (its embedded modes, or a server) and a real PostgreSQL."""

import os
import zlib
from contextlib import closing

import numpy as np
import pytest
from sra_pipelines.index.stores.framework_store import FrameworkStore, passage_metadata
from sra_pipelines.index.stores.store_urls import check_store_url, open_store
from sra_pipelines.index.stores.vector_store import FaissStore, Hit, VectorDocument, VectorStoreError
from sra_pipelines.values import Passage

from sra_rag.errors import ConfigError

DIMENSION = 16


def document(number, n_passages=3):
    random = np.random.default_rng(number)
    vectors = random.normal(size=(n_passages, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    passages = [
        Passage(f"doc{number}", i, f"p. {i + 1}", f"text {i}\x00 of {number}", 0.0, "Terms", 7, 7 + len(f"text {i}"))
        for i in range(n_passages)
    ]
    return VectorDocument(f"{number:024x}", passages, vectors)


def open_one(kind, request, tmp_path):
    owner = f"{os.getpid()}_{zlib.crc32(request.node.name.encode()):x}"
    if kind == "qdrant in memory":
        from llama_index.vector_stores.qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient, models

        client = QdrantClient(":memory:")
        client.create_collection("own", models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE))
        return FrameworkStore(QdrantVectorStore("own", client=client), where="here", owner=owner, dimension=DIMENSION)
    if kind == "qdrant in a folder":
        url = f"qdrant+file://{tmp_path}"
    elif kind == "qdrant server":
        url = request.getfixturevalue("qdrant_server")
    else:
        url = request.getfixturevalue("postgres") + ("&hnsw=on" if "hnsw" in kind else "")
    return open_store(url, owner, DIMENSION)


@pytest.fixture(params=["qdrant in memory", "qdrant in a folder", "qdrant server", "postgres", "postgres with hnsw"])
def kept(request, tmp_path):
    """A store that outlives the process."""
    with closing(open_one(request.param, request, tmp_path)) as opened:
        yield opened
        opened.keep(())


def test_faiss_keeps_the_contract():
    check_coming_and_going(FaissStore())
    check_order_and_cosines(FaissStore())


def test_some_documents_are_searched_as_in_a_ranking_of_all():
    store = FaissStore()
    assert store.search(document(1).vectors[0], 9, among=[f"{1:024x}"]) == []
    store.add(document(number, n_passages=number) for number in range(1, 9))
    question = document(99).vectors[0]
    every = store.search(question, 99)
    for chosen in ([3], [8, 1], range(1, 9), [], [77], [77, 4]):
        keys = [f"{number:024x}" for number in chosen]
        expected = [hit for hit in every if hit.key in keys]
        assert store.search(question, 99, among=keys) == expected
        assert store.search(question, 2, among=keys) == expected[:2]
    store.keep([f"{3:024x}"])
    assert {hit.key for hit in store.search(question, 99, among=[f"{n:024x}" for n in (3, 4)])} == {f"{3:024x}"}


def test_the_others_keep_it_too(kept):
    check_coming_and_going(kept)
    kept.keep(())
    check_order_and_cosines(kept)


def check_coming_and_going(store):
    first, second, third = document(1), document(2), document(3)
    assert store.held() == frozenset()
    assert store.search(first.vectors[0], 3) == []
    store.add([first, second])
    store.add([second, third])  # what is there stays
    assert store.held() == {first.key, second.key, third.key}
    assert len(store.search(first.vectors[0], 100)) == 9
    store.keep({first.key, third.key, "f" * 24})
    assert store.held() == {first.key, third.key}
    assert {hit.key for hit in store.search(second.vectors[0], 100)} == {first.key, third.key}


def check_order_and_cosines(store):
    documents = [document(i) for i in range(1, 8)]
    store.add(documents)
    question = document(99).vectors[0]
    expected = sorted(
        (
            Hit(d.key, position, float(vector @ question))
            for d in documents
            for position, vector in enumerate(d.vectors)
        ),
        key=lambda hit: -hit.score,
    )
    for limit in (1, 5, 21, 50):
        found = store.search(question, limit)
        assert [hit[:2] for hit in found] == [hit[:2] for hit in expected[:limit]]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected[:limit]], abs=1e-5)
    assert store.search(question, 0) == []


class Dying:
    """A vector store whose process dies just before its nth write."""

    def __init__(self, vectors, n):
        self.vectors, self.left = vectors, n

    def __getattr__(self, name):
        method = getattr(self.vectors, name)
        if name in ("get_nodes", "query"):
            return method

        def write(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return method(*args, **kwargs)

        return write


def test_an_interruption_at_any_write_loses_and_doubles_nothing(kept):
    old, stays, new = (document(i) for i in (1, 2, 3))
    vectors = kept.vectors
    finished = False
    n = 0
    while not finished:
        kept.keep(())
        kept.add([old, stays])
        kept.vectors = Dying(vectors, n)
        try:
            kept.add([new])
            kept.keep({stays.key, new.key})
            finished = True
        except KeyboardInterrupt:
            pass
        kept.vectors = vectors
        held = kept.held()
        assert stays.key in held
        found = [hit[:2] for hit in kept.search(new.vectors[0], 100)]
        assert {(key, position) for key in held for position in range(3)} <= set(found)
        kept.add([new])
        kept.keep({stays.key, new.key})
        assert kept.held() == {stays.key, new.key}
        assert sorted(hit[:2] for hit in kept.search(new.vectors[0], 100)) == [
            (key, position) for key in (stays.key, new.key) for position in range(3)
        ]
        n += 1
    assert n > 8


def test_other_programs_can_read_text_and_place(kept):
    from llama_index.core.vector_stores.types import VectorStoreQuery

    kept.add([document(1)])
    query = VectorStoreQuery(query_embedding=document(1).vectors[2].tolist(), similarity_top_k=1)
    [node] = kept.vectors.query(query).nodes
    assert node.get_content() == "text 2\ufffd of 1"
    expected = passage_metadata(document(1).passages[2])
    assert expected["document"] == "doc1"
    assert {name: node.metadata[name] for name in expected} == expected


def test_a_connection_that_was_cut_is_made_again(postgres):
    import psycopg2

    with closing(open_store(postgres, "cut", DIMENSION)) as store:
        store.add([document(1)])
        with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            assert cursor.rowcount > 0
        assert len(store.search(document(1).vectors[0], 5)) == 3
        store.keep(())


def test_two_indexes_are_not_mixed(kept):
    kept.add([document(1)])
    other = FrameworkStore(kept.vectors, where="there", owner="other", dimension=DIMENSION)
    with pytest.raises(VectorStoreError, match="there: the store contains the vectors of another index"):
        other.add([document(2)])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://localhost", "is not the URL of a vector store.*qdrant\\+http://HOST:6333"),
        ("postgresql://me:secret@localhost/db", "contains a password.*PGPASSWORD"),
        ("redis://me:secret@localhost", "contains a password"),
    ],
)
def test_urls_that_are_refused(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_store_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["qdrant+http://127.0.0.1:9", "postgresql://me@127.0.0.1:9/db"])
def test_a_server_that_does_not_answer_is_named(url):
    with pytest.raises(VectorStoreError, match=rf"{url.replace('+', '.')}: .*Check that its server is running"):
        open_store(url, "a", DIMENSION).held()
