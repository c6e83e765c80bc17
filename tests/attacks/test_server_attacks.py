"""Fuzzed requests, many clients, idle streams and cut uploads against a real server on this machine."""

import json
import random
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions

pytestmark = pytest.mark.attack

ASK = {"model": "sra-rag", "messages": [{"role": "user", "content": "What does the ferry cost?"}], "max_tokens": 4}
CLIENTS = 32
HARBOURS = [
    "Alder", "Birch", "Cedar", "Dover", "Elm", "Fern", "Gull", "Heron", "Iris", "Jade", "Kelp", "Lark", "Maple",
    "Nettle", "Otter", "Pine", "Quail", "Raven", "Sorrel", "Thistle", "Umber", "Violet", "Willow", "Yarrow", "Zinnia",
    "Amber", "Basil", "Clover", "Daisy", "Ember", "Falcon", "Ginger",
]  # fmt: skip
STRANGE = [
    None, True, -1, 0, 1e308, -1e308, 2**70, "", "\x00", "\ud800", "a" * 5000, "<|im_end|>", [], {}, [[]], {"a": None},
    "../../etc/passwd", "http://127.0.0.1:9", {"type": "json_schema", "json_schema": {"schema": {"not": {}}}},
]  # fmt: skip
FIELDS = [
    "model", "messages", "sra", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed", "stop",
    "response_format", "n", "user", "metadata", "tools", "logprobs",
]  # fmt: skip
PATHS = ["/v1/chat/completions", "/v1/models", "/v1/documents", "/v1/documents/%00", "/v1/documents/../x", "/health",
         "/metrics", "/page/", "/page/uploads", "/v1", "/%2e%2e/etc"]  # fmt: skip


def code_of(number):
    """Return the fact of a client's own document."""
    return str(7 * number + 1000)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, word_embedding, serving):
    """A function that serves a model with one document for each client: (address, keys, shelf)."""

    @contextmanager
    def served(loaded, **options):
        folder = tmp_path_factory.mktemp("attacked")
        for number in range(CLIENTS):
            text = f"The code of {HARBOURS[number]} Harbour is {code_of(number)}. Its master keeps it in a safe."
            (folder / f"doc{number}.txt").write_text(text)
        add_documents(folder / "index", list(folder.glob("*.txt")), lambda: word_embedding, workers=0)
        index = StoredIndex(folder / "index", word_embedding)
        # By words alone: each question names its own document, and the vectors of this embedding are near by chance.
        retriever = Retriever(index, method="keywords", vocabulary=())
        qa = DocumentQA(
            index, Engine(loaded, options=SamplingOptions(max_new_tokens=4)), retriever=retriever, **options
        )
        shelf = DocumentShelf(index, folder / "uploads")
        keys = tuple(f"0123456789abcdef-{number}" for number in range(CLIENTS))
        settings = ServerSettings(
            api_keys=keys, max_new_tokens=64, queue_length=48, receive_timeout=2.0, request_timeout=1_800.0
        )
        with serving(create_app(qa, settings, shelf=shelf)) as address:
            yield address, keys, shelf

    return served


@pytest.fixture(scope="module")
def running(attacked, tiny):
    with attacked(tiny, context_tokens=120) as server:
        yield server


def strange_body(rng):
    body = dict(ASK)
    for _ in range(rng.randrange(1, 4)):
        body[rng.choice(FIELDS)] = rng.choice(STRANGE)
    if rng.random() < 0.3:
        body["messages"] = [{"role": rng.choice(["user", "tool", None]), "content": rng.choice(STRANGE)}]
    data = bytearray(json.dumps(body).encode())
    if rng.random() < 0.3:
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_fuzzed_requests(running, attack_count):
    address, keys, _ = running
    times, rng = attack_count("requests", 10_000), random.Random(11)
    statuses: dict[int, int] = {}
    with httpx.Client(base_url=address, timeout=120, headers={"Authorization": f"Bearer {keys[0]}"}) as client:
        for number in range(times):
            # Mostly JSON: with another type, the body is not looked at.
            [kind] = rng.choices(
                [b"application/json", b"text/plain", b"multipart/form-data", b"a/b;c=\xff"], (9, 1, 1, 1)
            )
            headers = {"Content-Type": kind}
            content = strange_body(rng) if rng.random() < 0.9 else rng.randbytes(rng.randrange(2000))
            path = PATHS[0] if rng.random() < 0.8 else rng.choice(PATHS)
            method = "POST" if rng.random() < 0.9 else rng.choice(["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
            answer = client.request(method, path, content=content, headers=headers)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (number, method, path, content, answer.text)
            if answer.status_code >= 400 and method != "HEAD":
                assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, (method, path, content)
        assert client.get("/health").status_code == 200
        assert client.post(PATHS[0], json=ASK).status_code == 200
    print(f"\n{times} fuzzed requests: {dict(sorted(statuses.items()))}")  # noqa: T201


class Client:
    """A client that asks for the code in its own document.

    Parameters
    ----------
    address, key
        The server, and the key for it.
    number
        Number of the client and of its document.
    max_tokens
        Length of its answers in tokens.
    changes
        Other fields of its requests.
    """

    def __init__(self, address, key, number, max_tokens, **changes):
        question = f"What is the code of {HARBOURS[number]} Harbour?"
        self.body = (
            ASK | {"messages": [{"role": "user", "content": question}], "max_tokens": max_tokens, "seed": 1} | changes
        )
        self.http = httpx.Client(base_url=address, timeout=2_000, headers={"Authorization": f"Bearer {key}"})

    def ask(self):
        """Return the text of an answer, its citations and the length of its prompt."""
        while True:
            answer = self.http.post(PATHS[0], json=self.body)
            if answer.status_code == 200:
                content = answer.json()
                text = content["choices"][0]["message"]["content"]
                return text, content["citations"], content["usage"]["prompt_tokens"]
            if answer.status_code != 429:
                raise AssertionError(answer.text)
            time.sleep(0.05 * int(answer.headers["Retry-After"]))


def ask_from_all(clients, minutes, is_right):
    """Let all clients ask at the same time, again and again; return the number of answers of each, and the faults."""
    until, counts, faults = time.monotonic() + 60 * minutes, [0] * len(clients), []

    def run(number):
        try:
            while not counts[number] or time.monotonic() < until:
                answer = clients[number].ask()
                if not is_right(number, answer):
                    faults.append((number, answer))
                counts[number] += 1
        except Exception as error:
            faults.append((number, repr(error)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.http.close()
    assert min(counts) > 0
    return counts, faults


def test_clients_get_the_answers_that_they_get_alone(running, attack_count):
    address, keys, _ = running
    minutes = attack_count("tiny_minutes", 5.0)
    clients = [Client(address, keys[number], number, 4) for number in range(CLIENTS)]
    alone = [client.ask() for client in clients]
    assert len({text for text, *_ in alone}) > CLIENTS // 2  # they can be told apart
    counts, faults = ask_from_all(clients, minutes, lambda number, answer: answer == alone[number])
    assert not faults, faults[:3]
    print(f"\n{CLIENTS} clients of a tiny model, {minutes:g} minutes: {sum(counts)} answers, each as it "  # noqa: T201
          f"is alone; per client {min(counts)} to {max(counts)}")  # fmt: skip


def test_clients_that_ask_for_their_own_document(attacked, embedded, attack_count):
    minutes = attack_count("minutes", 30.0)
    codes = [code_of(number) for number in range(CLIENTS)]
    with attacked(embedded, context_tokens=48) as (address, keys, _):  # the passage of the own document alone
        clients = [Client(address, keys[number], number, 16, sra="evidence") for number in range(CLIENTS)]
        alone = [client.ask() for client in clients]
        for number, answer in enumerate(alone):
            assert [code for code in codes if code in answer[0]] == [code_of(number)], answer
        counts, faults = ask_from_all(clients, minutes, lambda number, answer: answer == alone[number])
    assert not faults, faults[:3]
    print(f"\n{CLIENTS} clients, {minutes:g} minutes: {sum(counts)} answers, each with the fact of its own document "  # noqa: T201
          f"and as it is alone; per client {min(counts)} to {max(counts)}")  # fmt: skip


def test_idle_streams(running, attack_count):
    address, keys, _ = running
    streams = attack_count("streams", 100)
    port = int(address.rsplit(":", 1)[1])
    body = json.dumps({**ASK, "stream": True, "max_tokens": 64}).encode()
    head = f"POST {PATHS[0]} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {keys[1]}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    opened = []
    for _ in range(streams):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(head.encode() + body)  # the answer is never read
        opened.append(connection)
    slowest = 0.0
    with httpx.Client(base_url=address, timeout=300, headers={"Authorization": f"Bearer {keys[2]}"}) as client:
        for _ in range(20):
            start = time.monotonic()
            assert client.get("/health").status_code == 200
            slowest = max(slowest, time.monotonic() - start)
        start = time.monotonic()
        while (answer := client.post(PATHS[0], json=ASK)).status_code == 429:
            time.sleep(0.2)
        assert answer.status_code == 200
        waited = time.monotonic() - start
        for connection in opened:
            connection.close()
        until = time.monotonic() + 60
        while "queue" in client.get("/metrics").text and time.monotonic() < until:
            if client.post(PATHS[0], json=ASK).status_code == 200:
                break
    assert slowest < 1
    print(f"\n{streams} idle streams: /health at most {slowest:.2f} s, another client's answer after {waited:.1f} s")  # noqa: T201


def test_cut_uploads(running, attack_count):
    address, keys, shelf = running
    times, rng = attack_count("uploads", 300), random.Random(13)
    port = int(address.rsplit(":", 1)[1])
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + b"words " * 20_000
    head = f"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {keys[0]}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form) + 5}\r\n\r\n"
    for _ in range(times):
        whole = head.encode() + form
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(whole[: rng.randrange(1, len(whole))])
            time.sleep(rng.uniform(0, 0.01))
    until = time.monotonic() + 30
    while shelf._uploading and time.monotonic() < until:
        time.sleep(0.05)
    assert shelf._uploading == 0
    assert not shelf.uploads.exists() or not list(shelf.uploads.iterdir())
    with httpx.Client(base_url=address, timeout=60, headers={"Authorization": f"Bearer {keys[0]}"}) as client:
        files = {"file": ("whole.txt", b"The whole file arrived.")}
        assert client.post("/v1/documents", files=files).status_code == 201
        assert client.delete("/v1/documents/whole").status_code == 200
    print(f"\n{times} cut uploads: nothing is left, and the next one is added")  # noqa: T201
