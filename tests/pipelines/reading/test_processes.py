"""Worker processes: what they read, and what one that dies takes with it."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import docx
import openpyxl
import pytest
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader, _interrupts_put_off, default_workers, file_hash, read_documents
from sra_pipelines.values import Document, DocumentError


def test_in_this_process(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    paths = [tmp_path / "a.txt", tmp_path / "none.txt"]
    (first, document, digest), (second, problem, nothing) = read_documents(paths, workers=0)
    assert (first, second) == tuple(paths)
    assert document.pages[0].text == "text"
    assert digest == file_hash(tmp_path / "a.txt")
    assert isinstance(problem, DocumentError)
    assert nothing == ""


def test_default_workers():
    assert default_workers(1) == 1
    assert default_workers(0) == 1
    assert 1 <= default_workers(1000) <= 4


@pytest.mark.slow
def test_a_worker_that_takes_too_long_costs_its_own_document_only(tmp_path):
    small = [tmp_path / f"{i}.txt" for i in range(5)]
    for path in small:
        path.write_text(f"text of {path.stem}")
    large = tmp_path / "large.csv"
    large.write_text("Name,Value\n" + "some words,12\n" * 3_000_000)
    results = {
        path: result for path, result, _ in read_documents([*small[:2], large, *small[2:]], workers=2, seconds=2)
    }
    assert set(results) == {*small, large}
    assert all(isinstance(results[path], Document) for path in small)
    assert "crashed, or took longer than 2 s" in str(results[large])


@pytest.mark.slow
def test_a_lone_reader_goes_on_behind_a_document_that_takes_too_long(tmp_path):
    small, large = tmp_path / "small.txt", tmp_path / "large.csv"
    small.write_text("text")
    large.write_text("Name,Value\n" + "some words,12\n" * 3_000_000)
    reader = LoneReader(seconds=2)
    try:
        assert isinstance(reader.read(small), Document)
        slow = reader.read(large)
        assert isinstance(slow, DocumentError)
        assert f"{large}: reading it crashed, or took longer than 2 s" in str(slow)
        assert reader.read(small).pages[0].text == "text"
    finally:
        reader.close()


def test_a_reading_process_imports_no_library_for_models(tmp_path, make_pdf):
    text = {
        "a.txt": "text",
        "b.md": "# Title\n\ntext",
        "c.html": "<h1>Title</h1><p>text</p>",
        "d.csv": "Name,Value\na,1\n",
    }
    for name, content in text.items():
        (tmp_path / name).write_text(content)
    word, sheet = docx.Document(), openpyxl.Workbook()
    word.add_paragraph("text")
    word.save(tmp_path / "e.docx")
    sheet.active.append(["Name", "Value"])
    sheet.save(tmp_path / "f.xlsx")
    paths = [*sorted(tmp_path.glob("*.*")), make_pdf("g.pdf", "text")]
    assert {path.suffix for path in paths} == {".txt", ".md", ".html", ".csv", ".docx", ".xlsx", ".pdf"}
    reader = LoneReader(limits=ReadingLimits())
    try:
        assert all(isinstance(reader.read(path), Document) for path in paths)
        process = reader._pool.submit(eval, "__import__('os').getpid(), list(__import__('sys').modules)")
        pid, modules = process.result()
    finally:
        reader.close()
    assert pid != os.getpid()
    assert "sra_pipelines.readers.pdf" in modules
    heavy = {"torch", "transformers", "sentence_transformers", "llama_index.core", "faiss", "sra_rag.attention"}
    assert heavy & set(modules) == set()


def test_ctrl_c_while_a_process_is_started_is_not_lost_and_not_heard_there():
    blocked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this run was started by
    said = []

    def press_and_start():
        with _interrupts_put_off():
            os.kill(os.getpid(), signal.SIGINT)
            said.append(
                subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=True).stdout
            )

    try:
        with pytest.raises(KeyboardInterrupt):
            press_and_start()
        assert said == ["True\n"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_process_of_a_pool_does_not_hear_ctrl_c_either():
    script = """
        import multiprocessing
        from sra_pipelines.reading.processes import _interrupts_put_off
        blocked = "import signal, sys; sys.exit(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
        process = multiprocessing.get_context("spawn").Process(target=exec, args=(blocked,))
        with _interrupts_put_off():
            process.start()  # in a process that has started none before
        process.join()
        print("blocked", process.exitcode)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "blocked 1\n"


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "large.csv").write_text("Name,Value\n" + "some words,12\n" * 20_000_000)
    (tmp_path / "small.txt").write_text("text")
    (tmp_path / "run.py").write_text(
        textwrap.dedent(
            """
            import multiprocessing
            from pathlib import Path
            from sra_pipelines.reading.processes import read_documents
            if __name__ == "__main__":
                here = Path(__file__).parent
                for path, *_ in read_documents([here / "small.txt", here / "large.csv"], workers=1):
                    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")], stdout=subprocess.PIPE, text=True)
    workers = [int(pid) for pid in process.stdout.readline().split()]  # now the worker reads the large file
    assert workers
    process.kill()
    process.communicate()
    end = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{worker}") for worker in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)
