"""Document question answering, serving and evaluation with a model on a real vLLM server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

import httpx
from fastapi.testclient import TestClient
from llama_index.core.embeddings import MockEmbedding
from sra_evaluations import Example, compare
from sra_evaluations.runs.measures import Measures
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page, add_documents
from sra_pipelines.answering.chat import Chat
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.server import ServerSettings, create_app
from typer.testing import CliRunner

from sra_rag import Engine, SamplingOptions
from sra_rag.cli import make_app
from sra_rag.errors import ConfigError

QUESTION = "What is the yearly rent of the warehouse?"
AFTER = {"alpha": 0.4, "rows": "after_context"}
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def index():
    pages = (
        "This agreement is made between Harl Shipping and the Port of Orrin.",
        "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
    )
    document = Document(Path("lease.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))
    return DocumentIndex([document], MockEmbedding(embed_dim=4))


@pytest.fixture(scope="module")
def local(embedded):
    return Engine(embedded, options=SamplingOptions(max_new_tokens=12))


def test_answers_and_citations_equal_those_of_a_local_model(index, served, local):
    there, here = (DocumentQA(index, engine, context_tokens=200) for engine in (served, local))
    for sra in (None, AFTER, "evidence"):
        answer, expected = there.ask(QUESTION, sra=sra), here.ask(QUESTION, sra=sra)
        assert (answer.text, answer.citations) == (expected.text, expected.citations)
        looks = zip(answer.evidence or (), expected.evidence or (), strict=True)
        assert all((look.line, look.weighed) == (other.line, other.weighed) for look, other in looks)
        assert (answer.evidence is not None) == (sra == "evidence")
        assert answer.generation.context_length == expected.generation.context_length > 20
    reply = Chat(there, history=[(QUESTION, "82,400 crowns.")]).ask("Until when is it due?", sra=0.2)
    assert reply.generation.sra.alpha == 0.2
    with pytest.raises(ConfigError, match="not available from a model on a server"):
        there.ask(QUESTION, attention=True)


def test_the_document_server_forwards_concurrent_requests(index, served):
    app = create_app(DocumentQA(index, served, context_tokens=200), ServerSettings(concurrency=8))
    body = {"model": "sra-rag", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8}
    with TestClient(app, base_url="http://127.0.0.1") as http:

        def ask(sra):
            return http.post("/v1/chat/completions", json=body | {"sra": sra}).json()

        sequential = [ask(sra) for sra in (None, 0.3)]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(ask, [None, 0.3] * 2))
        refused = http.post("/v1/chat/completions", json=body | {"sra": {"bounds": "observed"}})
    texts = [response["choices"][0]["message"]["content"] for response in together]
    assert texts == [response["choices"][0]["message"]["content"] for response in sequential] * 2
    assert together[1]["sra"]["alpha"] == 0.3
    assert refused.status_code == 400
    assert "observed" in refused.json()["error"]["message"]


class Rents:
    name = "rents"

    def examples(self, count, seed, count_tokens):
        rents = [f"The rent of house {n} is {n}1,{n}00 crowns." for n in range(1, 9)]
        context = " ".join(rents)
        return [
            Example(f"{n}", "Answer briefly.", context, f"What is the rent of house {n}?", (f"{n}1,{n}00",),
                    gold=(rents[n - 1],))
            for n in range(1, 5)
        ][:count]  # fmt: skip


def test_an_evaluation_run_equals_a_local_run_and_resumes(served, local, tmp_path):
    settings = ["off", "late:alpha=0.4,rows=after_context", "written:alpha=0.5,rows=generated"]
    measures = Measures(max_new_tokens=6, timed=1, attention=False)
    stop, done = threading.Event(), []

    def advance(_):
        def on_progress(n, total):
            done.append((n, total))
            if n >= 5:
                stop.set()

        return on_progress

    compare(served, [Rents()], settings, to=tmp_path / "there", measures=measures, on_progress=advance, stop=stop)
    before = (tmp_path / "there" / "records.jsonl").read_text()
    assert 5 <= len(before.splitlines()) < 12
    there = compare(served, [Rents()], settings, to=tmp_path / "there", measures=measures)
    assert (tmp_path / "there" / "records.jsonl").read_text().startswith(before)
    here = compare(local, [Rents()], settings, to=tmp_path / "here", measures=measures)
    assert len(there.records) == len(here.records) == 12
    for record in there.records:
        local_record = here.record("rents", record.setting, record.example)
        assert record.answer == local_record.answer
        assert record.scores["gold_nats"] == pytest.approx(local_record.scores["gold_nats"], abs=0.02)
        assert record.peak_bytes is None
        assert record.entropy is None
        if record.timed:
            assert record.usage.cached_tokens == 0
    manifest = json.loads((tmp_path / "there" / "manifest.json").read_text())
    assert manifest["model"]["server"] == served.where
    assert manifest["model"]["weights_sha256"] == "unknown"
    assert manifest["versions"]["vllm on the server"]
    assert "api_key" not in json.dumps(manifest)


def test_the_evaluate_command_accepts_an_address(vllm_server, tmp_path):
    question = {"question": "What is the rent?", "answer": "82,400 crowns", "context": "The rent is 82,400 crowns."}
    (tmp_path / "own.jsonl").write_text(json.dumps(question) + "\n")
    arguments = ["evaluate", str(tmp_path / "own.jsonl"), "--engine", vllm_server.address, "--to", str(tmp_path / "r"),
                 "--max-new-tokens", "4"]  # fmt: skip
    key = {"SRA_RAG_ENGINE_KEY": vllm_server.api_key or "none"}
    done = CliRunner().invoke(make_app(), arguments, env=key, catch_exceptions=False)
    assert done.exit_code == 0
    for path in (tmp_path / "r").iterdir():
        assert key["SRA_RAG_ENGINE_KEY"] not in path.read_text()
    assert f"--engine {vllm_server.address}" in (tmp_path / "r" / "report.html").read_text()


def test_the_code_in_the_documentation_runs(vllm_server, index):
    document = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
    [section] = re.findall(r"## The model on a server\n(.*?)\n## ", document, re.DOTALL)
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {"index": index, "key": vllm_server.api_key}
    exec(compile(code.replace("http://gpu-box:8000/v1", vllm_server.address), "server.md", "exec"), names)  # noqa: S102
    assert names["answer"].generation.sra.rows == "after_context"


@pytest.mark.slow
def test_the_serve_command_exits_when_its_vllm_server_is_killed(tmp_path):
    """The command starts vLLM. When vLLM is killed, the command reports it, exits, and leaves no processes."""
    sra_rag = [sys.executable, "-c", "from sra_rag.cli import main; main()"]
    (tmp_path / "lease.txt").write_text("The lease of the warehouse costs 82,400 crowns a year.")
    index = tmp_path / "index"
    add_documents(index, [tmp_path / "lease.txt"], load_embedding, embedding_name="embedded", workers=0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*sra_rag, "serve", str(index), "--engine", "vllm", "--port", str(port), "--no-page", "--grace", "1"]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 900
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.5)
        body = {"model": "sra-rag", "messages": [{"role": "user", "content": QUESTION}], "sra": AFTER, "max_tokens": 8}
        response = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=120).json()
        assert response["sra"]["rows"] == "after_context"
        assert response["choices"][0]["message"]["content"]
        started = children(server.pid)
        [child] = [process for process in started if os.getsid(process) == process]  # the others read uploads
        os.kill(child, signal.SIGKILL)
        assert server.wait(120) == 2, (tmp_path / "log").read_text()
    finally:
        server.kill()
        server.wait()
    assert "vLLM has ended unexpectedly (status -9)" in (tmp_path / "log").read_text()
    assert not members(child)
    wait_for(lambda: not any(is_running(process) for process in started))


def children(parent):
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(path) == parent]


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def parent_of(path):
    try:
        return int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def members(group):
    """Return the running processes of a group."""
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, _, their_group = (path / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(their_group) == group and state != "Z":
            processes.append(path.name)
    return processes
