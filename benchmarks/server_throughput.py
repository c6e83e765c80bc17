"""Streaming clients of `sra-rag serve --engine`, with and without evidence, and of its vLLM server alone.

Run it in an environment with vLLM (`make test-vllm` creates one)::

    .venv-vllm/bin/python benchmarks/server_throughput.py --to throughput.json
    .venv-vllm/bin/python benchmarks/server_throughput.py --index INDEX --clients 32 --questions 64

The script starts a private vLLM server, and `sra-rag serve` with an index (by default of the sample documents), which
uses it. Clients stream answers concurrently, each one after the other. Each round has three ways, and begins with
another one each time:

- vLLM: clients send the tokens of the prompts that `sra-rag serve` makes of the questions to vLLM.
- sra-rag, off: clients send the questions to `sra-rag serve`, which searches, and checks the answers.
- sra-rag, evidence: the same with `"sra": "evidence"`, which sends two requests to vLLM for each answer.

Before each, the prefix cache of vLLM is emptied, so that each prompt is computed once in each way. A question is the
beginning of a passage of the index, so its passages are not those of other questions. Decoding is greedy.

The table has the tokens of answers per second, the seconds until the first text, and the processor seconds of an answer
of all processes (clients, server, vLLM), which other programs on the machine change less. Numbers of several rounds are
medians; ratios are computed within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
from sra_pipelines import DocumentQA, open_index
from sra_pipelines.samples import sample_documents
from vllm_sra.client.own_server import own_server
from vllm_sra.client.served_engine import ServedEngine

SRA_RAG = [sys.executable, "-c", "from sra_rag.cli import main; main()"]
WAYS = ("vLLM", "sra-rag, off", "sra-rag, evidence")


@dataclasses.dataclass(frozen=True)
class Request:
    """A question, and the prompt that is made of it."""

    question: str
    tokens: list[int]
    stops: list[str]


@dataclasses.dataclass(frozen=True)
class Round:
    """What one way did in one round: seconds until the first text of each answer, and the total of the others."""

    first_texts: list[float]
    tokens: int
    seconds: float
    processor_seconds: float


def main() -> None:
    """Run all ways in turn and print a table."""
    options = arguments()
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # the prefix cache can be emptied
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="server-throughput-")))
        index = options.index or sample_index(folder)
        room = options.context_tokens + 1024
        started = ("--max-model-len", str(room), "--max-num-seqs", str(options.clients), "--dtype", options.dtype)
        started += ("--enforce-eager",) if options.eager else ()
        vllm = stack.enter_context(own_server(options.model, arguments=started))
        served = stack.enter_context(serving(index, vllm.address, vllm.api_key, folder, options))
        requests = prompts(index, vllm.address, vllm.api_key, options)
        print(
            f"{len(requests)} prompts of {statistics.median(len(one.tokens) for one in requests):.0f} tokens (median)",
            file=sys.stderr,
        )
        rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
        for number in range(options.rounds):
            for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
                httpx.post(vllm.address.removesuffix("/v1") + "/reset_prefix_cache").raise_for_status()
                address, key = (vllm.address, vllm.api_key) if way == WAYS[0] else served
                rounds[way].append(asyncio.run(answer_all(requests, way, address, key, options)))
                print(f"{way}: {rounds[way][-1].seconds:.0f} s", file=sys.stderr, flush=True)
    options.to.write_text(json.dumps({way: [dataclasses.asdict(one) for one in rounds[way]] for way in WAYS}, indent=2))
    print(table(rounds, len(requests)))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as for sra-rag (default: embedded)")
    parser.add_argument("--dtype", default="auto", help="data type, as for vLLM (default: auto)")
    parser.add_argument("--index", type=Path, help="index to ask about (default: of the sample documents)")
    parser.add_argument("--clients", type=int, default=32, help="clients (default: 32)")
    parser.add_argument("--questions", type=int, default=64, help="answers in each round and way (default: 64)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--tokens", type=int, default=16, help="maximum number of tokens of an answer (default: 16)")
    parser.add_argument("--context-tokens", type=int, default=300, help="tokens of passages (default: 300)")
    parser.add_argument("--eager", action="store_true", help="do not compile the model in vLLM, which takes minutes")
    parser.add_argument("--to", type=Path, default=Path("server_throughput.json"), help="JSON of all rounds")
    return parser.parse_args()


def sample_index(folder: Path) -> Path:
    """Return an index of the sample documents."""
    index = folder / "samples.index"
    adding = [*SRA_RAG, "index", "add", *map(str, sample_documents()), "--to", str(index)]
    subprocess.run(adding, check=True, capture_output=True)  # noqa: S603 - the command is fixed
    return index


@contextmanager
def serving(
    index: Path, engine: str, engine_key: str, folder: Path, options: argparse.Namespace
) -> Iterator[tuple[str, str]]:
    """Run `sra-rag serve` in front of vLLM; yield its address and key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = secrets.token_hex(16)
    limits = {
        "--engine": engine, "--port": port, "--concurrency": options.clients, "--queue-length": options.clients,
        "--context-tokens": options.context_tokens, "--request-timeout": 1800,
    }  # fmt: skip
    command = [*SRA_RAG, "serve", str(index), "--no-page", *(str(part) for pair in limits.items() for part in pair)]
    environment = os.environ | {"SRA_RAG_API_KEYS": key, "SRA_RAG_ENGINE_KEY": engine_key}
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)  # noqa: S603
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1", key
        finally:
            process.terminate()
            process.wait(60)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"The server did not start:\n{log.read_text()[-2000:]}")


def prompts(index: Path, engine: str, key: str, options: argparse.Namespace) -> list[Request]:
    """Return questions about passages from all parts of an index, and their prompts as `sra-rag serve` makes them."""
    opened = open_index(index)
    passages = opened.passages()
    chosen = [passages[number * len(passages) // options.questions] for number in range(options.questions)]
    made = []
    with ServedEngine.at(engine, api_key=key) as served:
        qa = DocumentQA(opened, served, context_tokens=options.context_tokens)
        for passage in chosen:
            question = f"What is stated about {' '.join(passage.text.split()[:10])}?"
            retrieval = qa.retrieve(question, max_new_tokens=options.tokens)
            encoded = served.encode(retrieval.messages(), context=retrieval.context, passages=retrieval.passage_texts())
            made.append(Request(question, list(encoded.token_ids), list(retrieval.marks())))
    return made


async def answer_all(
    requests: Sequence[Request], way: str, address: str, key: str, options: argparse.Namespace
) -> Round:
    """Let all clients stream their answers in one way."""
    first_texts: list[float] = []
    tokens = 0
    send = send_prompt if way == WAYS[0] else send_question
    async with openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0, timeout=1800) as api:

        async def client(number: int) -> None:
            nonlocal tokens
            for request in requests[number :: options.clients]:
                began, first = time.perf_counter(), None
                async for text, usage in send(api, request, way, options):
                    if text and first is None:
                        first = time.perf_counter() - began
                    tokens += usage
                first_texts.append(time.perf_counter() - began if first is None else first)

        used, began = processor_seconds(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(options.clients):
                group.create_task(client(number))
        return Round(first_texts, tokens, time.perf_counter() - began, processor_seconds() - used)


async def send_prompt(
    api: openai.AsyncOpenAI, request: Request, way: str, options: argparse.Namespace
) -> AsyncIterator[tuple[str, int]]:
    """Send a prompt to vLLM; yield pieces of text, and the number of tokens at the end."""
    del way
    chunks = await api.completions.create(
        model=options.model, prompt=request.tokens, max_tokens=options.tokens, temperature=0, stop=request.stops,
        stream=True, stream_options={"include_usage": True},
    )  # fmt: skip
    async for chunk in chunks:
        text = chunk.choices[0].text if chunk.choices else ""
        yield text, chunk.usage.completion_tokens if chunk.usage is not None else 0


async def send_question(
    api: openai.AsyncOpenAI, request: Request, way: str, options: argparse.Namespace
) -> AsyncIterator[tuple[str, int]]:
    """Send a question to `sra-rag serve`; yield pieces of text, and the number of tokens at the end."""
    extra: dict[str, Any] = {"sra": "evidence" if "evidence" in way else None}
    chunks = await api.chat.completions.create(
        model="sra-rag", messages=[{"role": "user", "content": request.question}], max_tokens=options.tokens,
        temperature=0, stream=True, stream_options={"include_usage": True}, extra_body=extra,
    )  # fmt: skip
    async for chunk in chunks:
        text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
        yield text, chunk.usage.completion_tokens if chunk.usage is not None else 0


def processor_seconds() -> float:
    """Return the processor seconds of this process and of all its descendants."""
    own = psutil.Process()
    used = 0.0
    for process in [own, *own.children(recursive=True)]:
        times = process.cpu_times()
        used += times.user + times.system
    return used


def table(rounds: dict[str, list[Round]], answers: int) -> str:
    """Return the table: medians of the rounds, and ratios to vLLM with their range."""
    lines = [
        "| | tokens per second | first text, s (p50, p95) | processor seconds an answer | ratio (range) |",
        "|---|---|---|---|---|",
    ]
    for way, own in rounds.items():
        ratios = [
            one.processor_seconds / base.processor_seconds for one, base in zip(own, rounds[WAYS[0]], strict=True)
        ]
        lines.append(
            f"| {way} | {middle(own, lambda one: one.tokens / one.seconds):.1f} "
            f"| {middle(own, lambda one: quantile(one.first_texts, 0.5)):.1f}, "
            f"{middle(own, lambda one: quantile(one.first_texts, 0.95)):.1f} "
            f"| {middle(own, lambda one: one.processor_seconds / answers):.2f} "
            f"| {statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f}) |"
        )
    return "\n".join(lines)


def middle(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    """Return the median of a value over rounds."""
    return statistics.median(map(value, rounds))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main()
