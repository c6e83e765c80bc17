"""The clients of `server_load.py`: they send questions, check the answers, obey `Retry-After`, and some disconnect."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import httpx
import openai

__all__ = ["Case", "Load", "ask_alone"]

_LONG = {"model": "embedded", "messages": [{"role": "user", "content": "Count to one thousand."}], "max_tokens": 400}


@dataclasses.dataclass
class Case:
    """A question with its settings, and the answer of the server without other requests."""

    question: str
    alpha: float | None
    expected: tuple[str, Any, Any] | None = None


@dataclasses.dataclass
class Client:
    """Counts of one client."""

    answers: int = 0
    left: int = 0
    refused: int = 0
    longest_wait: float = 0.0  # seconds until the first token, including rejections


class Load:
    """Clients that send one question after the other until the time is over.

    Parameters
    ----------
    address
        URL of the server.
    keys
        API keys, one per client.
    cases
        Questions, with the expected answers.
    seconds
        How long new questions are sent.
    max_tokens
        Maximum number of tokens of an answer.
    greedy
        Number of concurrent requests of the first client; the other clients have one.
    leavers
        Number of clients (the last ones) that disconnect during every second answer.
    timeout
        Maximum seconds of an answer.
    """

    def __init__(
        self, address: str, keys: list[str], cases: list[Case], *, seconds: float, max_tokens: int, greedy: int,
        leavers: int, timeout: float,
    ) -> None:  # fmt: skip
        self.address = address
        self.keys = keys
        self.cases = cases
        self.seconds = seconds
        self.max_tokens = max_tokens
        self.greedy = greedy
        self.leavers = leavers
        self.timeout = timeout
        self.clients = [Client() for _ in keys]
        self.faults: list[dict[str, Any]] = []
        self.first_tokens: list[float] = []
        self.totals: list[float] = []
        self.freed: list[float] = []  # seconds until the server noticed that a client had disconnected

    async def run(self) -> None:
        """Send questions until the time is over, and wait for the open requests."""
        until = time.monotonic() + self.seconds
        async with asyncio.timeout(self.seconds + self.timeout + 60), asyncio.TaskGroup() as group:
            for number in range(len(self.clients)):
                for lane in range(self.greedy if number == 0 else 1):
                    group.create_task(self._client(number, lane, until))

    async def _client(self, number: int, lane: int, until: float) -> None:
        leaves = number >= len(self.clients) - self.leavers
        turn = 0
        async with _openai(self.address, self.keys[number], self.timeout) as api:
            while time.monotonic() < until:
                case = self.cases[(7 * number + 3 * lane + turn) % len(self.cases)]
                turn += 1
                began = time.monotonic()
                try:
                    if leaves and turn % 2 == 0:
                        await self._leave(api, number, began, until)
                    else:
                        await self._ask(api, number, case, began, until)
                except (openai.OpenAIError, httpx.HTTPError) as error:
                    self._fault("failed", number, case, f"{type(error).__name__}: {error}")
                    await asyncio.sleep(1)

    async def _ask(self, api: openai.AsyncOpenAI, number: int, case: Case, began: float, until: float) -> None:
        stream = await self._admitted(api, number, until, _request(case, self.max_tokens))
        if stream is None:
            return
        answer, first, ended = await _read(stream)
        client = self.clients[number]
        if not ended:
            self._fault("lost", number, case, f"the stream ended after {answer[0]!r}")
            return
        client.answers += 1
        self.first_tokens.append(first - began)
        self.totals.append(time.monotonic() - began)
        client.longest_wait = max(client.longest_wait, first - began)
        if answer != case.expected:
            others = [other for other in self.cases if other is not case and other.expected == answer]
            kind = "mixed up" if others else "different"
            self._fault(kind, number, case, f"received {answer!r} instead of {case.expected!r}")

    async def _leave(self, api: openai.AsyncOpenAI, number: int, began: float, until: float) -> None:
        stream = await self._admitted(api, number, until, _LONG)
        if stream is None:
            return
        pieces = 0
        async for chunk in stream:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
            if pieces == 1:
                self.clients[number].longest_wait = max(self.clients[number].longest_wait, time.monotonic() - began)
            if pieces == 3:
                break
        self.clients[number].left += 1
        expected = sum(client.left for client in self.clients)
        gone = time.monotonic()
        await stream.close()
        while await self._cancelled(number) < expected:
            if time.monotonic() - gone > 10:
                self._fault("failed", number, None, "the server did not notice the disconnect within 10 s")
                break
            await asyncio.sleep(0.02)
        self.freed.append(time.monotonic() - gone)

    async def _admitted(
        self, api: openai.AsyncOpenAI, number: int, until: float, request: dict[str, Any]
    ) -> openai.AsyncStream[Any] | None:
        """Send a request, again after each rejection, until it is accepted or the time is over (None)."""
        while True:
            try:
                return await api.chat.completions.create(**request, stream=True)
            except openai.RateLimitError as error:
                self.clients[number].refused += 1
                after = float(error.response.headers["Retry-After"])
                await asyncio.sleep(max(0.0, min(after, until - time.monotonic())))
                if time.monotonic() >= until:
                    return None

    async def _cancelled(self, number: int) -> float:
        async with httpx.AsyncClient() as http:
            headers = {"Authorization": f"Bearer {self.keys[number]}"}
            text = (await http.get(f"{self.address}/metrics", headers=headers)).text
        lines = (
            line.rsplit(" ", 1) for line in text.splitlines() if 'outcome="cancelled"' in line and "_total" in line
        )
        return sum(float(value) for _, value in lines)

    def _fault(self, kind: str, number: int, case: Case | None, detail: str) -> None:
        asked = None if case is None else {"question": case.question, "alpha": case.alpha}
        self.faults.append({"kind": kind, "client": number, "case": asked, "detail": detail})


async def ask_alone(cases: list[Case], address: str, key: str, max_tokens: int) -> None:
    """Send the questions one by one, and store the answers in `cases`.

    Raises
    ------
    RuntimeError
        If the server does not answer a question completely.
    """
    async with _openai(address, key, 120) as api:
        for case in cases:
            answer, _, ended = await _read(await api.chat.completions.create(**_request(case, max_tokens), stream=True))
            if not ended:
                raise RuntimeError(f"The answer to {case.question!r} is not complete: {answer}")
            case.expected = answer


def _openai(address: str, key: str, timeout: float) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=timeout)


def _request(case: Case, max_tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": case.question}]
    extra = {"sra": case.alpha}
    return {"model": "sra-rag", "messages": messages, "max_tokens": max_tokens, "temperature": 0, "extra_body": extra}


async def _read(stream: openai.AsyncStream[Any]) -> tuple[tuple[str, Any, Any], float, bool]:
    """Return text, citations and settings; the time of the first token; and whether the answer was complete."""
    text, citations, sra = "", None, None
    first, ended = 0.0, False
    async for chunk in stream:
        [choice] = chunk.choices
        if choice.delta.content:
            text += choice.delta.content
            first = first or time.monotonic()
        if choice.finish_reason is not None:
            ended = choice.finish_reason in ("stop", "length")
            citations, sra = chunk.citations, chunk.sra
    return (text, citations, sra), first or time.monotonic(), ended
