"""SIGTERM to a real server: answers finish or are stopped, their clients are told, and the log says which."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import openai
import pytest

pytestmark = pytest.mark.slow

SRA_RAG = [sys.executable, "-c", "from sra_rag.cli import main; main()"]
LONG = {"model": "embedded", "messages": [{"role": "user", "content": "Count to one thousand."}], "max_tokens": 512}


def numbers(least, max_tokens):
    """Ask for numbers; the schema keeps the answer from ending before there are so many."""
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": least}
    form = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": schema}}
    messages = [{"role": "user", "content": "Write numbers, as many as you can."}]
    return {
        "model": "embedded",
        "messages": messages,
        "max_tokens": max_tokens,
        "response_format": form,
        "stream": True,
    }


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "lease.txt").write_text("The lease of the warehouse costs 82,400 crowns a year.")
    adding = [*SRA_RAG, "index", "add", str(folder / "lease.txt"), "--to", str(folder / "index")]
    subprocess.run(adding, check=True, capture_output=True, timeout=200)
    return folder / "index"


@contextmanager
def served(index, tmp_path, *options):
    """A server process and a client of it; the log lies in ``tmp_path/log``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        command = [*SRA_RAG, "serve", str(index), "--port", str(port), *options]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 120
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/health")
                    break
                except httpx.TransportError:
                    assert server.poll() is None, (tmp_path / "log").read_text()
                    assert time.monotonic() < until
                    time.sleep(0.1)
            yield (
                server,
                openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0, timeout=120),
            )
        finally:
            server.kill()
            server.wait()


class Reader(threading.Thread):
    """Reads a stream to its end, and keeps what came and how it ended."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.pieces, self.reason, self.error = stream, [], None, None
        self.id = None

    def run(self):
        try:
            for chunk in self.stream:
                self.id = chunk.id
                self.pieces.append(chunk.choices[0].delta.content or "")
                self.reason = chunk.choices[0].finish_reason
        except Exception as error:
            self.error = error


def wait_for(holds):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_is_not_done_in_time_is_stopped_and_named(index, tmp_path):
    with served(index, tmp_path, "--grace", "2") as (server, client):
        reader = Reader(client.chat.completions.create(**numbers(150, 512)))
        reader.start()
        waiting, said = threading.Event(), []

        def wait_in_the_queue():
            waiting.set()
            with pytest.raises(openai.InternalServerError) as refused:
                client.chat.completions.create(**LONG)
            said.append(refused.value)

        queued = threading.Thread(target=wait_in_the_queue, daemon=True)
        queued.start()
        wait_for(lambda: waiting.is_set() and len(reader.pieces) > 3)
        time.sleep(0.5)
        told = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
        took = time.monotonic() - told
        reader.join(5)
        queued.join(5)
    log = (tmp_path / "log").read_text()
    assert isinstance(reader.error, openai.APIError), reader.error  # the event, and no connection that broke
    assert not isinstance(reader.error, openai.APIConnectionError)
    assert "the server is shutting down" in str(reader.error)
    assert [refused.status_code for refused in said] == [503]
    assert int(said[0].response.headers["Retry-After"]) > 0
    assert f"2 running answer(s) get 2 s. {reader.id}" in log
    assert "0 answer(s) finished" in log
    assert "2 answer(s) were stopped before they were complete" in log
    assert reader.id in log.split("were stopped before they were complete", 1)[1]
    assert "Traceback" not in log
    assert 2 <= took < 25


def test_what_is_done_in_time_is_finished_and_named(index, tmp_path):
    with served(index, tmp_path, "--grace", "60") as (server, client):
        reader = Reader(client.chat.completions.create(**numbers(8, 40)))
        reader.start()
        wait_for(lambda: len(reader.pieces) > 2)
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
        reader.join(5)
    log = (tmp_path / "log").read_text()
    assert reader.error is None
    assert reader.reason in ("stop", "length")
    assert f"1 answer(s) finished. {reader.id}" in log
    assert "stopped before" not in log


def test_a_second_signal_ends_the_wait(index, tmp_path):
    with served(index, tmp_path, "--grace", "100") as (server, client):
        reader = Reader(client.chat.completions.create(**numbers(150, 512)))
        reader.start()
        wait_for(lambda: len(reader.pieces) > 3)
        server.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert server.poll() is None
        server.send_signal(signal.SIGTERM)
        assert server.wait(25) == 0
        reader.join(5)
    assert "the server is shutting down" in str(reader.error)
    assert f"1 answer(s) were stopped before they were complete. {reader.id}" in (tmp_path / "log").read_text()
