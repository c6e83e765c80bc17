"""Half-sent requests are closed, wrong keys are slowed down, and no key reaches the log."""

import asyncio
import logging
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from sra_pipelines import DocumentQA
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.half_sent import ImpatientProtocol
from sra_pipelines.server.serving import server_config
from sra_pipelines.server.wrong_keys import WrongKeys

from sra_rag import Engine, SamplingOptions

KEY = "0123456789abcdef-right"
WRONG = "0123456789abcdef-wrong"


@contextmanager
def started(app, settings):
    """Serve with the configuration of the real server."""
    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def port(tiny, word_embedding):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ServerSettings(port=port, api_keys=(KEY,), receive_timeout=0.7, grace=0)
    qa = DocumentQA(DocumentIndex([], word_embedding), Engine(tiny, options=SamplingOptions(max_new_tokens=4)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImpatientProtocol, "header_seconds", 0.7)
        with started(create_app(qa, settings), settings):
            yield port


def get(port, path, key=KEY):
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {key}"} if key else {})


def until_closed(port, first, drip=b""):
    """Send a part of a request, then `drip` again and again; return the answer, and the seconds until it is closed."""
    start, received = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(first)
        connection.settimeout(0.1)
        while time.monotonic() - start < 10:
            try:
                if drip:
                    connection.sendall(drip)
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            received += part
    return received, time.monotonic() - start


@pytest.mark.parametrize("drip", [b"", b"X-Header: value\r\n"])
@pytest.mark.parametrize("first", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: a\r\n"])
def test_half_sent_headers(port, first, drip):
    received, seconds = until_closed(port, first, drip if first.endswith(b"\n") else b"")
    assert seconds < 3
    assert received == b""


def test_a_second_request_on_a_connection_that_is_half_sent(port):
    whole = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    received, seconds = until_closed(port, whole + b"GET /health HT")
    assert received.startswith(b"HTTP/1.1 200")
    assert seconds < 8  # uvicorn closes idle connections after 5 s


@pytest.mark.parametrize("drip", [b"", b"a"])
def test_half_sent_bodies(port, drip):
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 500000\r\n\r\n"
    received, seconds = until_closed(port, head.encode() + b'{"model"', drip)
    assert seconds < 4
    assert received.startswith(b"HTTP/1.1 408")
    assert b"did not arrive completely" in received


def test_a_slow_answer_and_an_idle_client_are_not_closed(port):
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}) as client:
        assert client.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
        time.sleep(0.3)
        assert client.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200


async def test_each_wrong_key_takes_longer_and_many_at_once_are_rejected():
    keys = WrongKeys(first_seconds=0.05)
    seconds = []
    for _ in range(6):
        start = time.monotonic()
        assert await keys.delay("10.0.0.1") == 0
        seconds.append(time.monotonic() - start)
    assert max(seconds[:3]) < 0.04
    assert seconds[3] >= 0.04
    assert seconds[5] >= 0.18
    start = time.monotonic()
    assert await keys.delay("10.0.0.2") == 0  # another address is not affected
    assert time.monotonic() - start < 0.04

    waiting = [asyncio.create_task(keys.delay("10.0.0.1")) for _ in range(20)]
    done, pending = await asyncio.wait(waiting, timeout=0.1)
    assert len(done) == 4
    assert all(task.result() > 0 for task in done)
    for task in pending:
        task.cancel()


def test_wrong_keys_are_slowed_down_and_right_ones_are_not(port):
    start = time.monotonic()
    for _ in range(5):
        assert get(port, "/v1/models", WRONG).status_code == 401
    assert time.monotonic() - start > 0.7  # 0.25 + 0.5
    wrong = threading.Thread(target=get, args=(port, "/v1/models", WRONG))  # waits for a second
    wrong.start()
    time.sleep(0.1)
    assert get(port, "/v1/models").status_code == 200
    assert wrong.is_alive()
    wrong.join()


def upgrade(port, path):
    """Ask for a WebSocket, which the server does not have."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        return connection.recv(65536)


def test_a_key_in_a_query_is_not_logged(port, caplog):
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access", "uvicorn.error")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            get(port, f"/health?api_key={KEY}", None)
            get(port, f"/v1/models?key={WRONG}", None)
            assert upgrade(port, f"/v1/models?key={KEY}").startswith(b"HTTP/1.1 403")
            until = time.monotonic() + 5
            while not any("WebSocket" in record.getMessage() for record in caplog.records) and time.monotonic() < until:
                time.sleep(0.05)
    finally:
        for logger in loggers:
            logger.removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert any('"GET /health HTTP/1.1" 200' in line for line in lines)
    assert any('"GET /v1/models HTTP/1.1" 401' in line for line in lines)
    assert any('"WebSocket /v1/models" 403' in line for line in lines)
    assert not any("0123456789abcdef" in line for line in lines), lines
