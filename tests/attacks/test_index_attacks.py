"""Kills, damage and failing callbacks: an index is always in its old or its new state, and whole."""

import contextlib
import itertools
import multiprocessing
import random
import sys
import time

import pytest
from fpdf import FPDF
from sra_pipelines.index import embedding as embedding_module
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.lock import IndexLockedError
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.reading.processes import file_hash

from sra_rag.cli import main
from tests.security.test_damaged_index import flips, whole

__all__ = ["whole"]

pytestmark = pytest.mark.attack


def run_command(arguments, embedding):
    """Run the command line in this process; the embedding model is the fast one of the tests."""
    embedding_module.load_embedding = lambda *_: embedding
    sys.argv = ["sra-rag", *arguments]
    sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115 - as long as the process lives
    main()


def read_forever(index, embedding, failed):
    """Search an index again and again, whatever is written to it."""
    while True:
        opened = StoredIndex(index, embedding)
        hits = opened.search("What does the ferry cost?", 3)
        if opened.n_passages and not hits:
            failed.set()
            return
        time.sleep(0.01)


def content(index):
    return {document.name: document.sha256 for document in index_documents(index)}


def possible_contents(before, files, commands):
    """Return every content that commands can leave, of which each is run whole or not at all, in any order."""
    contents = [before]
    for count in range(1, len(commands) + 1):
        for order in itertools.permutations(commands, count):
            now = before
            for command in order:
                match command:
                    case ["index", "remove", name, *_]:
                        now = {other: digest for other, digest in now.items() if other != name}
                    case [*_, "--sync"]:
                        refused = 2 * len(now.keys() - files.keys()) > len(now)  # without --allow-removal
                        now = now if refused else files
                    case _:
                        now = now | files
            contents.append(now)
    return contents


def pdf_of(text):
    """Return a PDF of two pages, in which words can be replaced by others of the same length."""
    pdf = FPDF()
    pdf.set_compression(False)
    pdf.set_font("Helvetica", size=12)
    for _ in range(2):
        pdf.add_page()
        pdf.multi_cell(0, 6, text)
    return bytes(pdf.output())


@pytest.mark.skipif(sys.platform != "linux", reason="forks processes")
def test_killed_commands(tmp_path, word_embedding, monkeypatch, attack_count):
    kills, rng = attack_count("kills", 500), random.Random(5)
    files, index = tmp_path / "files", tmp_path / "index"
    files.mkdir()

    pdfs = [
        pdf_of(f"Version V000000 of document {number}. The ferry costs {number} crowns. " * 30) for number in range(8)
    ]

    def write(number, version):
        (files / f"doc{number}.pdf").write_bytes(pdfs[number].replace(b"V000000", b"V%06d" % version))

    for number in range(8):
        write(number, 0)
    add_documents(index, [files], lambda: word_embedding, workers=0)
    context, failed = multiprocessing.get_context("fork"), multiprocessing.get_context("fork").Event()
    reader = context.Process(target=read_forever, args=(index, word_embedding, failed), daemon=True)
    reader.start()
    outcomes = dict.fromkeys(("killed", "finished", "turns with two writers", "old", "new"), 0)
    # Once in this process, from which the others are forked: they then do not spend their time on imports.
    monkeypatch.setattr(embedding_module, "load_embedding", lambda *_: word_embedding)
    for command in (
        ["add", str(files), "--to", str(index), "--workers", "0"],
        ["remove", "doc0", "--from", str(index)],
    ):
        monkeypatch.setattr(sys, "argv", ["sra-rag", "index", *command])
        with contextlib.suppress(SystemExit):
            main()
    kinds = {
        "add": lambda _: ["index", "add", str(files), "--to", str(index), "--workers", "0"],
        "sync": lambda _: ["index", "add", str(files), "--to", str(index), "--workers", "0", "--sync"],
        "remove": lambda number: ["index", "remove", f"doc{number}", "--from", str(index)],
    }
    usual, turn = dict.fromkeys(kinds, 0.3), 0  # seconds until a command is killed, at most
    while outcomes["killed"] < kills:
        turn += 1
        changed = rng.sample(range(8), 2)
        for number in changed:
            (files / f"doc{number}.pdf").unlink(missing_ok=True)
            if rng.random() < 0.7:
                write(number, turn)
        chosen = rng.choices(list(kinds), k=rng.choice((1, 2)))
        commands = [kinds[kind](rng.randrange(8)) for kind in chosen]
        before, written = content(index), {path.stem: file_hash(path) for path in files.iterdir()}
        writers = [context.Process(target=run_command, args=(command, word_embedding)) for command in commands]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0, max(usual[kind] for kind in chosen)))
        for writer in writers:
            if writer.is_alive():
                writer.kill()
            writer.join()
            outcomes["killed" if writer.exitcode == -9 else "finished"] += 1
        if len(writers) == 1:  # most moments are within the command, whatever the load of the machine
            usual[chosen[0]] *= 1.25 if writers[0].exitcode == -9 else 0.6
        report = check_index(index)
        assert report.problems == (), (turn, report)
        after = content(index)
        assert after in possible_contents(before, written, commands), (turn, commands, before, after, written)
        outcomes["turns with two writers"] += len(writers) - 1
        outcomes["old" if after == before else "new"] += 1
        assert reader.is_alive(), f"the reader ended at turn {turn}"
        assert not failed.is_set()
        if turn % 50 == 0:
            print(f"\n{turn} turns: {outcomes}", flush=True)  # noqa: T201
    reader.kill()
    add_documents(index, [files], lambda: word_embedding, workers=0, sync=True, allow_removal=True)
    assert content(index).keys() == {path.stem for path in files.iterdir()}
    print(f"\n{turn} turns of killed commands: {outcomes}")  # noqa: T201 - the figures for docs/security.md


def test_flipped_bits_and_blocks(tmp_path, whole, word_embedding, attack_count):
    times = attack_count("flips", 300)
    outcomes = flips(tmp_path, whole, word_embedding, times, seed=7)
    print(f"\n{times} flips: {outcomes}")  # noqa: T201


def test_failing_callbacks(tmp_path, word_embedding, attack_count):
    times, rng = attack_count("callbacks", 200), random.Random(3)
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"Document {number}.\n" * 200)
    index = tmp_path / "index"
    add_documents(index, [tmp_path / "0.txt"], lambda: word_embedding, workers=0)
    raised = 0
    for turn in range(times):
        for number in range(5):
            (tmp_path / f"{number}.txt").write_text(f"Document {number}, turn {turn}.\n" * 200)
        before, left = index_documents(index), rng.randrange(30)

        def fail(*_):
            nonlocal left
            left -= 1
            if left < 0:
                raise rng.choice((KeyboardInterrupt, RuntimeError, MemoryError))("a callback")

        try:
            add_documents(index, list(tmp_path.glob("*.txt")), lambda: word_embedding, workers=0, on_progress=fail)
        except (KeyboardInterrupt, RuntimeError, MemoryError):
            raised += 1
            assert index_documents(index) == before
        except IndexLockedError:
            pytest.fail("a lock was left")
        assert check_index(index).problems == ()
    assert raised
    print(f"\n{times} adds with a callback, {raised} of which it stopped")  # noqa: T201
