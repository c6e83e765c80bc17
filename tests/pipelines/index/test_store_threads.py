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


class Watched:
    """A FAISS index that takes its time, and notes which of its calls run together."""

    def __init__(self, index):
        self.index = index
        self.running = []
        self.together = set()
        self.lock = threading.Lock()

    def __getattr__(self, name):
        attribute = getattr(self.index, name)
        if name not in ("search", "add_with_ids", "remove_ids"):
            return attribute

        def call(*arguments, **named):
            with self.lock:
                self.together.update((name, other) for other in self.running)
                self.running.append(name)
            time.sleep(0.002)
            try:
                return attribute(*arguments, **named)
            finally:
                with self.lock:
                    self.running.remove(name)

        return call


def test_searches_run_together_and_writes_alone():
    store, stays = FaissStore(), document("stays", 200)
    store.add([stays])
    store._index = watched = Watched(store._index)
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
        for number in range(30):
            store.add([document(f"{number}")])
            if number % 3 == 2:
                store.keep(["stays", f"{number}"])
        done.set()
        for finished in searches:
            finished.result(WAIT)
    assert watched.together == {("search", "search")}
    assert store.held() == {"stays", "29"}


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
