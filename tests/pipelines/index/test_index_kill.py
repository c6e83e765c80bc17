"""``kill -9`` at random moments of a real process that changes an index: it is the old or the new one, and whole."""

import itertools
import multiprocessing
import random
import time

import pytest
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.schema import DATABASE
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents


def write_state(folder, state):
    """Write six files of which, from one state to the next, two change, one goes, one comes and two stay."""
    for path in folder.iterdir():
        path.unlink()
    for i in range(6):
        name = f"gone-{state}-{i}" if i == 5 else f"doc{i}"
        version = state if i in (3, 4, 5) else "same"
        (folder / f"{name}.txt").write_text(f"Version {version} of {name}.\n" + f"Line of {name}.\n" * 400)


def change(index, folder, embedding):
    add_documents(index, [folder], lambda: embedding, sync=True, workers=0)


def content(index):
    return {about.name: about.sha256 for about in index_documents(index)}


def kill_at_random(index, folder, embedding, kills, seed, least=None):
    """Kill ``kills`` times, and go on until each outcome in ``least`` was met as often as it says."""
    least = least or {}
    rng = random.Random(seed)
    context = multiprocessing.get_context("fork")  # a real process, without the seconds that imports take
    write_state(folder, 0)
    started = time.perf_counter()
    process = context.Process(target=change, args=(index, folder, embedding))
    process.start()
    process.join()
    usual = time.perf_counter() - started
    old = content(index)
    assert len(old) == 6
    outcomes = {"old": 0, "new": 0, "prepared": 0, "journal": 0}
    for state in itertools.count(1):
        if state > kills and all(outcomes[name] >= number for name, number in least.items()):
            break
        assert state <= 10 * kills, f"after {state - 1} kills only {outcomes} of at least {least}"
        write_state(folder, state)
        process = context.Process(target=change, args=(index, folder, embedding))
        process.start()
        time.sleep(rng.uniform(0, usual))
        process.kill()
        process.join()
        usual *= 0.95 if process.exitcode == 0 else 1.02  # keep most moments within the change, whatever the load
        outcomes["journal"] += (index / f"{DATABASE}-journal").exists()  # killed in the midst of a commit
        report = check_index(index)
        assert report.problems == ()
        now = content(index)
        # What the new state is follows from the files themselves: run the same change to its end.
        outcomes["prepared"] += report.n_prepared > 0
        before_finish = now
        finished = add_documents(index, [folder], lambda: embedding, sync=True, workers=0)
        new = content(index)
        assert before_finish in (old, new), f"neither old nor new after kill {state}"
        outcomes["new" if before_finish == new else "old"] += 1
        assert finished.failed == {}
        assert {p.stem for p in folder.iterdir()} == set(new)
        assert check_index(index).problems == ()
        old = new
    reader = StoredIndex(index, embedding)
    assert {p.document for p in reader.search("Version of doc", 1000)} == set(old)
    assert set(reader.keyword_counts()) == set(reader.structures()) == set(old)
    return outcomes


def test_a_few_kills(tmp_path, word_embedding):
    (tmp_path / "docs").mkdir()
    outcomes = kill_at_random(tmp_path / "index", tmp_path / "docs", word_embedding, kills=8, seed=1)
    assert outcomes["old"] + outcomes["new"] == 8


@pytest.mark.slow
def test_many_kills(tmp_path, word_embedding, record_property, count):
    (tmp_path / "docs").mkdir()
    kills = count(100, 40)
    # Where a kill falls depends on the machine's load: the kinds of moments are asked for, not a number of kills.
    least = {"old": kills // 5, "new": kills // 20, "prepared": kills // 10}
    outcomes = kill_at_random(tmp_path / "index", tmp_path / "docs", word_embedding, kills, seed=2, least=least)
    record_property("outcomes", str(outcomes))


def make(index, folder, embedding):
    add_documents(index, [folder], lambda: embedding, workers=0)


def remove(index, names):
    remove_documents(index, names)


def test_kills_while_an_index_is_made_and_while_documents_are_removed(tmp_path, word_embedding):
    folder = tmp_path / "docs"
    folder.mkdir()
    write_state(folder, 0)
    context = multiprocessing.get_context("fork")
    rng = random.Random(3)
    names = {path.stem for path in folder.iterdir()}
    for number in range(6):
        index = tmp_path / f"index{number}"
        process = context.Process(target=make, args=(index, folder, word_embedding))
        process.start()
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        process.join()
        make(index, folder, word_embedding)  # goes on, whatever was left
        assert set(content(index)) == names
        process = context.Process(target=remove, args=(index, ["doc0", "doc1", "doc2"]))
        process.start()
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        assert check_index(index).problems == ()
        assert set(content(index)) in (names, names - {"doc0", "doc1", "doc2"})
