import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sra_pipelines.index.stores.shared_lock import SharedLock
from sra_pipelines.index.stores.vector_store import FaissStore, Hit, VectorDocument

DIMENSION = 16
WAIT = 20.0  # seconds; longer only if a test fails


def document(key, n_passages=50):
    vectors = np.random.default_rng(list(key.encode())).standard_normal((n_passages, DIMENSION)).astype(np.float32)
    return VectorDocument(key, [], vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


class Meeting:
    """A FAISS index whose searches wait until two of them run."""

    def __init__(self, index):
        self.index = index
        self.ntotal = index.ntotal
        self.met = threading.Barrier(2)

    def search(self, vectors, limit):
        self.met.wait(WAIT)
        return self.index.search(vectors, limit)


def test_searches_run_at_the_same_time():
    store, own = FaissStore(), document("a")
    store.add([own])
    store._index = Meeting(store._index)
    with ThreadPoolExecutor(2) as threads:
        hits = list(threads.map(lambda n: store.search(own.vectors[n], 1), (3, 4)))
    assert [(hit.key, hit.position) for [hit] in hits] == [("a", 3), ("a", 4)]


def test_searches_find_what_stays_while_documents_come_and_go():
    store, stays = FaissStore(), document("stays", 200)
    store.add([stays])
    done = threading.Event()

    def search(seed):
        random, count = np.random.default_rng(seed), 0
        while not done.is_set() or not count:
            position = int(random.integers(200))
            [hit] = store.search(stays.vectors[position], 1)
            assert hit == Hit("stays", position, pytest.approx(1))
            count += 1

    with ThreadPoolExecutor(4) as threads:
        searches = [threads.submit(search, seed) for seed in range(4)]
        for number in range(60):
            store.add([document(f"{number}", 400)])  # the vectors move in memory
            if number % 3 == 2:
                store.keep(["stays", f"{number}"])
        done.set()
        for finished in searches:
            finished.result(WAIT)
    assert store.held() == {"stays", "59"}


def test_a_writer_is_alone_and_gets_its_turn():
    lock, inside, log = SharedLock(), threading.Event(), []

    def write():
        with lock.writing():
            log.append("written")

    def read():
        with lock.reading():
            log.append("read")

    with lock.reading():
        writer = threading.Thread(target=write)
        writer.start()
        while not lock._n_writers:
            time.sleep(0.001)
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.05)
        assert not log  # the writer waits for this reader, and the new reader for the writer
    writer.join(WAIT)
    reader.join(WAIT)
    assert log == ["written", "read"]

    def hold():
        with lock.writing():
            inside.set()
            time.sleep(0.05)
            log.append("held")

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(WAIT)
    for work in (read, write):
        work()
    holder.join(WAIT)
    assert log[2:] == ["held", "read", "written"]


def test_an_error_gives_the_lock_back(monkeypatch):
    lock = SharedLock()
    for hold in (lock.reading, lock.writing):
        with pytest.raises(RuntimeError, match="inside"), hold():
            raise RuntimeError("inside")

    def interrupted(_condition):
        raise KeyboardInterrupt

    with lock.reading(), monkeypatch.context() as patch:
        patch.setattr(lock._changed, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), lock.writing():
            pass  # pragma: no cover - the writer never gets the lock
    with lock.reading(), lock.reading():
        pass
    with lock.writing():
        pass
