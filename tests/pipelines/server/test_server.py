"""The server, asked by OpenAI's own client over real sockets."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.commands.conversation import serve_index, serve_tools
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.serving import require_free_address

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.errors import ConfigError

KEY = "0123456789abcdef-test"
QUESTION = "What is the yearly rent of the warehouse?"
ASK = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def lease_index(embedding):
    pages = (
        "This agreement is made between Harl Shipping and the Port of Orrin.",
        "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
    )
    document = Document(Path("lease.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))
    return DocumentIndex([document], embedding)


@pytest.fixture(scope="module")
def running(tiny, lease_index):
    """Serve on a free port: (address, application)."""
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=16))
    settings = ServerSettings(api_keys=(KEY,), queue_length=2, max_new_tokens=400, max_body_bytes=20_000)
    app = create_app(DocumentQA(lease_index, engine, context_tokens=300), settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}", app
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def client(running):
    return openai.OpenAI(base_url=f"{running[0]}/v1", api_key=KEY, max_retries=0)


def ask(client, **changes):
    return client.chat.completions.create(**{"model": "sra-rag", "messages": ASK, "max_tokens": 12, **changes})


def test_models(client):
    assert [model.id for model in client.models.list()] == ["sra-rag", "tiny"]
    assert client.models.retrieve("tiny").owned_by == "sra-rag"


def test_an_answer_and_its_usage(client):
    answer = ask(client)
    assert answer.choices[0].message.content.strip()
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens <= 12
    assert answer.sra is None
    assert answer.abstained == "nothing supported"  # by words drawn at random
    figures = re.findall(r"[\d,]*\d", answer.choices[0].message.content)
    assert answer.unsupported == [figure for figure in figures if figure not in ("82,400", "1")]


def test_a_stream_says_the_same(client):
    *pieces, end, usage = ask(client, stream=True, stream_options={"include_usage": True})
    whole = ask(client)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces).strip() == (
        whole.choices[0].message.content.strip()
    )
    assert len(pieces) > 3
    assert end.choices[0].finish_reason == whole.choices[0].finish_reason
    assert end.citations == whole.citations
    assert usage.usage.prompt_tokens == whole.usage.prompt_tokens


def test_sra_for_one_request(client):
    ask(client)
    answer = ask(client, extra_body={"sra": {"alpha": 0.4, "rows": "after_context"}})
    assert answer.sra["alpha"] == 0.4
    assert answer.usage.prompt_tokens_details.cached_tokens > 0  # the passages were read without it before
    with pytest.raises(openai.BadRequestError, match="alpha"):
        ask(client, extra_body={"sra": {"alpha": "much"}})


def test_requests_that_bring_no_sra_get_the_servers(tiny, lease_index):
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=2))
    settings = ServerSettings(sra=SRAConfig(alpha=0.4, rows="generated"))
    with TestClient(
        create_app(DocumentQA(lease_index, engine, context_tokens=100), settings), base_url="http://127.0.0.1"
    ) as http:
        bodies = [{}, {"sra": None}, {"sra": 0.1}]
        asked = {"model": "sra-rag", "messages": ASK, "max_tokens": 2}
        said = [http.post("/v1/chat/completions", json=asked | body).json()["sra"] for body in bodies]
    assert [None if sra is None else sra["alpha"] for sra in said] == [0.4, None, 0.1]


def test_a_conversation(client):
    turns = [*ASK, {"role": "assistant", "content": "82,400 crowns."}, {"role": "user", "content": "Until when?"}]
    assert ask(client, messages=turns).choices[0].message.content.strip()


def test_the_model_alone_and_an_answer_by_schema(client):
    class Sum(BaseModel):
        total: int

    answer = client.chat.completions.parse(
        model="tiny", messages=[{"role": "user", "content": "2 + 2?"}], response_format=Sum, max_tokens=20
    )
    assert isinstance(answer.choices[0].message.parsed, Sum)
    assert not hasattr(answer, "citations")


async def test_langchains_client(running):
    model = ChatOpenAI(base_url=f"{running[0]}/v1", api_key=KEY, model="sra-rag", max_tokens=8, max_retries=0)
    answer = await model.ainvoke(QUESTION)
    assert answer.usage_metadata["output_tokens"] <= 8
    pieces = [piece.content async for piece in model.astream(QUESTION)]
    assert "".join(pieces).strip() == answer.content.strip()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": "gpt"}, openai.NotFoundError, "Use 'sra-rag' or 'tiny'"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.BadRequestError, "Send the question last"),
        ({"messages": [{"role": "tool", "content": "x"}, *ASK]}, openai.BadRequestError, "messages.0.role"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"n": 2}, openai.BadRequestError, "n: "),
        ({"logit_bias": {"5": 1}}, openai.BadRequestError, "logit_bias"),
        ({"messages": [{"role": "user", "content": "long " * 9000}]}, openai.APIStatusError, "larger than 20,000"),
    ],
)
def test_what_is_wrong_is_said(client, changes, error, said):
    for stream in (False, True):
        with pytest.raises(error, match=said):
            list(ask(client, stream=stream, **changes))


def test_keys(running):
    address, _ = running
    for key in ("-", "wrong", KEY[:-1], f"{KEY}x"):
        assert httpx.get(f"{address}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    assert httpx.get(f"{address}/metrics").status_code == 401


def test_bodies_that_hide_their_size(running):
    def endless():
        for _ in range(100):
            yield b" " * 1000

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    answer = httpx.post(f"{running[0]}/v1/chat/completions", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_metrics(client, running):
    ask(client)
    text = httpx.get(f"{running[0]}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    counts = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(counts['sra_rag_requests_total{outcome="ok"}']) > 0
    assert float(counts['sra_rag_tokens_total{kind="completion"}']) > 0
    assert float(counts["sra_rag_requests_running"]) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_slot(running, stream, slow_steps):
    address, app = running
    slots = app.state.completions.slots
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Count to one thousand."}]}
    body |= {"stream": stream, "max_tokens": 400}  # eight seconds, were it not stopped
    with socket.create_connection((address.split("/")[2].split(":")[0], int(address.rsplit(":", 1)[1]))) as goes:
        content = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        goes.sendall(head.encode() + content)
        wait_until(lambda: slots.running == 1)
        if stream:
            assert goes.recv(100)
    wait_until(lambda: slots.running == 0)


def wait_until(holds, seconds=5):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_too_many_are_told_when_to_come_back(client, running, slow_steps):
    slots = running[1].state.completions.slots
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(ask, client, max_tokens=30) for _ in range(8)]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
    assert errors
    assert all(isinstance(error, openai.RateLimitError) for error in errors)
    assert all(int(error.response.headers["Retry-After"]) >= 1 for error in errors)
    answers = {future.result().choices[0].message.content for future in futures if future.exception() is None}
    assert len(answers) == 1  # all asked the same
    assert (slots.running, slots.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": "0.0.0.0"}, "API keys are required"),  # noqa: S104 - what is refused here
        ({"host": "example.org"}, "API keys are required"),
        ({"api_keys": ("short",)}, "fewer than 16"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"queue_length": -1}, "queue_length=-1"),
        ({"port": 99_999}, "port=99999"),
    ],
)
def test_settings_that_are_not_allowed(changes, said):
    with pytest.raises(ConfigError, match=said):
        ServerSettings(**changes)


def test_a_port_that_is_in_use_is_said_before_the_index_is_opened(tmp_path):
    refused = r"cannot listen on [\d.]+:\d+: address already in use\. Stop the other program, or give another --port"
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = ServerSettings(port=other.getsockname()[1])
        for serve in (serve_index, serve_tools):
            options = {"limits": None, "max_new_tokens": 1, "page": False} if serve is serve_index else {"http": True}
            with pytest.raises(ConfigError, match=refused):
                serve(
                    tmp_path / "no.index", None, settings=settings, embedding=None, preset=None, context_tokens=None,
                    **options,
                )  # fmt: skip
    require_free_address(ServerSettings(port=0))
