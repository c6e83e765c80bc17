"""Uploads: bounded in number, size and time, read by one warm process, private, and cleaned up after a kill."""

import logging
import socket
import stat
import subprocess
import sys
import threading
import time

import httpx
import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.index.schema import DATABASE
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader, SplitDocument
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app
from sra_pipelines.values import DocumentError

from sra_rag import Engine, SamplingOptions

TEXT = b"A ferry ticket costs 14 crowns."


@pytest.fixture
def shelf(tmp_path, word_embedding):
    (tmp_path / "lease.txt").write_text("The lease of the quay ends in May.")
    add_documents(tmp_path / "index", [tmp_path / "lease.txt"], lambda: word_embedding, workers=0)
    return DocumentShelf(StoredIndex(tmp_path / "index", word_embedding), tmp_path / "uploads", queue_length=3)


@pytest.fixture
def client(shelf, tiny, serving):
    qa = DocumentQA(shelf.index, Engine(tiny, options=SamplingOptions(max_new_tokens=4)), context_tokens=200)
    app = create_app(qa, ServerSettings(max_upload_bytes=2_000_000, receive_timeout=1.0), shelf=shelf)
    with serving(app) as address, httpx.Client(base_url=address, timeout=100) as client:
        yield client


def send(client, name, content=TEXT):
    return client.post("/v1/documents", files={"file": (name, content)})


def message(answer):
    return answer.json()["error"]["message"]


def test_health_answers_while_a_hostile_text_is_read_and_a_fourth_upload_is_rejected(client, shelf):
    shelf.start()
    hostile = "".join(map(chr, range(0x4E00, 0x9E00))).encode() * 8  # without a space or a sentence
    shelf.limits = ReadingLimits(max_seconds=4)
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(send(client, f"{i}.txt", hostile))) for i in range(3)]
    for thread in threads:
        thread.start()
    slowest, rejected, until = 0.0, None, time.monotonic() + 2
    while time.monotonic() < until:
        start = time.monotonic()
        assert client.get("/health").status_code == 200
        slowest = max(slowest, time.monotonic() - start)
        if rejected is None and shelf._uploading == 3:
            rejected = send(client, "fourth.txt")
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert slowest < 1
    assert rejected is not None
    assert rejected.status_code == 429
    assert int(rejected.headers["Retry-After"]) > 0
    assert {answer.status_code for answer in answers} <= {201, 422}
    assert send(client, "later.txt").status_code == 201


def test_the_reading_process_is_used_again_and_replaced_after_a_crash(tmp_path):
    reader = LoneReader(limits=ReadingLimits())
    reader.start()
    (tmp_path / "a.txt").write_bytes(TEXT)
    first = reader.read_and_split(tmp_path / "a.txt", "a", Splitting())
    assert isinstance(first, SplitDocument)
    assert [passage.text for passage in first.passages] == [TEXT.decode()]
    start = time.monotonic()
    assert reader.read_and_split(tmp_path / "a.txt", "a", Splitting()) == first
    assert time.monotonic() - start < 1  # a new process takes seconds
    (tmp_path / "slow.txt").write_text("a b\n" * 2_000_000)
    slow = reader.read_and_split(tmp_path / "slow.txt", "slow", Splitting(), ReadingLimits(max_seconds=0.3))
    assert isinstance(slow, DocumentError)
    assert "took longer than 0.3 s" in str(slow)
    assert reader.read_and_split(tmp_path / "a.txt", "a", Splitting()) == first
    reader.close()


def test_too_many_passages_are_refused(tmp_path):
    (tmp_path / "long.txt").write_text("Some words on a line.\n" * 2_000)
    reader = LoneReader()
    problem = reader.read_and_split(tmp_path / "long.txt", "long", Splitting(), ReadingLimits(max_passages=10))
    reader.close()
    assert isinstance(problem, DocumentError)
    assert "passages; at most 10 are accepted" in str(problem)


def test_files_are_readable_by_their_owner_only(client, tmp_path):
    assert send(client, "ferry.txt").status_code == 201
    for path in [tmp_path / "index", tmp_path / "uploads", *tmp_path.glob("index/*"), *tmp_path.glob("uploads/**/*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_folders_of_a_killed_server_are_removed(shelf, tmp_path, client):
    assert send(client, "kept.txt").status_code == 201
    killed = subprocess.run(
        [
            sys.executable, "-c",
            "import filelock, pathlib, os, sys, signal\n"
            "folder = pathlib.Path(sys.argv[1]) / ('ab' * 16)\n"
            "filelock.FileLock(folder.with_suffix('.lock')).acquire()\n"
            "folder.mkdir(); (folder / 'half.txt').write_text('half')\n"
            "os.kill(os.getpid(), signal.SIGKILL)",
            str(tmp_path / "uploads"),
        ],
        check=False,
    )  # fmt: skip
    assert killed.returncode == -9
    (tmp_path / "uploads" / "notes of the owner").mkdir()
    with shelf._new_folder() as running:
        DocumentShelf(shelf.index, tmp_path / "uploads")
        assert running.exists()  # another server is receiving it
    left = {path.name for path in (tmp_path / "uploads").iterdir()}
    kept = next(path.parent.name for path in (tmp_path / "uploads").rglob("kept.txt"))
    assert left == {kept, running.name, "notes of the owner"}


def test_no_message_names_a_path_of_the_server(client, tmp_path, shelf):
    from sra_pipelines.index.lock import writer_lock

    answers = [send(client, "empty.txt", b""), send(client, "broken.pdf", b"%PDF-1.7 nothing"), send(client, "a.exe")]
    with writer_lock(tmp_path / "index"):
        answers += [send(client, "ferry.txt"), client.delete("/v1/documents/lease")]
    data = (tmp_path / "index" / DATABASE).read_bytes()
    (tmp_path / "index" / DATABASE).write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    answers += [send(client, "ferry.txt"), client.delete("/v1/documents/lease")]
    (tmp_path / "index" / DATABASE).unlink()
    answers += [client.delete("/v1/documents/lease")]
    for answer in answers:
        assert 400 <= answer.status_code < 600
        assert message(answer)
        assert str(tmp_path) not in answer.text, answer.text


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=6m", "none", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["/bin/umount", "-l", str(place)], check=True)


def fill(folder):
    """Fill the disk to its last byte."""
    with (folder / "rest").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk_is_reported_and_a_removal_works_on_it(small_disk, word_embedding, tiny, serving):
    for name in ("lease", "large"):
        (small_disk / f"{name}.txt").write_text("".join(f"{name}: line {i} of it.\n" for i in range(8_000)))
    add_documents(small_disk / "index", [small_disk / "lease.txt", small_disk / "large.txt"], lambda: word_embedding,
                  workers=0)  # fmt: skip
    index = StoredIndex(small_disk / "index", word_embedding)
    shelf = DocumentShelf(index, small_disk / "uploads")
    qa = DocumentQA(index, Engine(tiny, options=SamplingOptions(max_new_tokens=4)), context_tokens=200)
    (small_disk / "uploads").mkdir()
    fill(small_disk)
    with serving(create_app(qa, shelf=shelf)) as address, httpx.Client(base_url=address, timeout=100) as client:
        answer = send(client, "ferry.txt")
        assert answer.status_code == 507
        assert "disk of the server is full" in message(answer)
        assert client.delete("/v1/documents/large").status_code == 200
        assert [document["id"] for document in client.get("/v1/documents").json()["data"]] == ["lease"]
    remove_documents(small_disk / "index", ["lease"])
    assert StoredIndex(small_disk / "index", word_embedding).n_passages == 0


def test_a_cut_upload_leaves_nothing_and_no_traceback_in_the_log(client, shelf, caplog):
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhalf'
    head = f"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body) + 500}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    try:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(head.encode() + body)
            until = time.monotonic() + 10
            while not shelf._uploading and time.monotonic() < until:
                time.sleep(0.01)
        while shelf._uploading and time.monotonic() < until:
            time.sleep(0.01)
        assert client.get("/health").status_code == 200  # the server has ended the request
    finally:
        logger.removeHandler(caplog.handler)
    assert shelf._uploading == 0
    assert not shelf.uploads.exists() or not list(shelf.uploads.iterdir())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_text_that_no_encoding_accepts_is_added_with_replacement_characters(client):
    head = b"From: a@example.com\nSubject: Rent\nContent-Type: text/plain; charset=utf-7\n\n"
    answer = send(client, "rent.eml", head + b"The rent is +2AA- 500 crowns.\n")
    assert answer.status_code == 201, answer.text
    assert client.delete("/v1/documents/rent").status_code == 200


def test_a_form_without_a_file(client):
    for body in ({"files": {"other": ("a.txt", TEXT)}}, {"data": {"file": "a text"}}, {"content": b""}):
        answer = client.post("/v1/documents", **body)
        assert answer.status_code == 400
        assert "Send a form with the file" in message(answer)
