"""`ServedEngine`: a model on a server that speaks OpenAI's API, where an `Engine` is expected.

Prompts are made here, as for a model in this process: messages through the model's template into tokens, so that no
document's text becomes a control token and it is known where the context ends. vLLM takes tokens. A server that does
not gets messages, and then has nothing of sra-rag: settings other than off are refused.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import hashlib
import queue
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from os import PathLike
from types import TracebackType
from typing import Any, Self, Unpack

from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ContextOverflowError, GenerationTimeoutError, PromptError, require_extra
from sra_rag.generation.prompts import EncodedPrompt, Prompt, PromptEncoder
from sra_rag.generation.request import Cancellation, Request, RequestArguments, read_request
from sra_rag.generation.result import Generation, Likelihood, TextDelta
from sra_rag.generation.sampling import SamplingOptions

require_extra("A model on a server", "openai", "openai")

import openai  # noqa: E402 - a missing extra names the command that installs it

from vllm_sra.client.background_loop import BackgroundLoop  # noqa: E402
from vllm_sra.client.served_model import ServedModel, find_model  # noqa: E402
from vllm_sra.client.served_reply import Reply  # noqa: E402
from vllm_sra.client.served_request import chat_body, refuse_unservable, settings_body, token_body  # noqa: E402
from vllm_sra.client.server_errors import server_errors  # noqa: E402

__all__ = ["ServedEngine"]

_LOOK_AGAIN = 0.05  # seconds between two looks whether a request was cancelled


class ServedEngine:
    """Answers prompts with a model on a server. Several threads may use it at once.

    Parameters
    ----------
    model
        From `vllm_sra.client.served_model.find_model`; `ServedEngine.at` does both.
    api_key
        Where the server asks for one. It is in no message and no description.
    options
        Options of requests that bring none.
    sra
        Settings of requests that bring none; None is off.
    in_flight
        Requests that are worth having under way at once.
    where
        What descriptions call the server; by default its address.
    """

    loaded = None
    sees_attention = False

    def __init__(
        self,
        model: ServedModel,
        *,
        api_key: str | None = None,
        options: SamplingOptions | None = None,
        sra: SRALike = None,
        in_flight: int = 16,
        where: str | None = None,
    ) -> None:
        if in_flight < 1:
            raise ConfigError(f"in_flight={in_flight} is not allowed: it must be at least 1.")
        self.model = model
        self.options = options or SamplingOptions()
        self.sra = SRAConfig.coerce(sra)
        self.in_flight = in_flight
        self.where = where or model.address
        self.encoder = PromptEncoder(model.tokenizer)
        self._client = openai.AsyncOpenAI(base_url=model.address, api_key=api_key or "none")
        self._loop = BackgroundLoop()
        self._salted = False

    @classmethod
    def at(
        cls,
        address: str,
        *,
        model: str | None = None,
        tokenizer: str | PathLike[str] | None = None,
        api_key: str | None = None,
        context_window: int | None = None,
        **arguments: Any,
    ) -> Self:
        """Return an engine for the model at an address.

        Parameters
        ----------
        address, model, tokenizer, api_key, context_window
            See `vllm_sra.client.served_model.find_model`.
        **arguments
            As for the class.
        """
        found = find_model(
            address, model=model, tokenizer=tokenizer, api_key=api_key, context_window=context_window
        )  # fmt: skip
        return cls(found, api_key=api_key, **arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is under way; afterwards nothing can be asked."""
        self._loop.close(self._client.close())

    @property
    def measures_likelihood(self) -> bool:
        """Whether `answer_likelihood` can be called: not on a server that takes messages only."""
        return self.model.takes_tokens

    @property
    def server_versions(self) -> Mapping[str, str]:
        """Versions of the server's programs, as far as they are known."""
        return self.model.versions

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self.model.name

    @property
    def context_window(self) -> int:
        """Tokens of prompt and answer together."""
        return self.model.context_window

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model; the weights of a server cannot be known from here."""
        template = str(self.model.tokenizer.chat_template or "")
        return {
            "name": self.name,
            "server": self.where,
            "prompts": "tokens" if self.model.takes_tokens else "messages",
            "context_window": self.context_window,
            "weights_sha256": "unknown",
            "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest(),
        }

    @contextmanager
    def isolated(self) -> Iterator[ServedEngine]:
        """Yield this engine such that none of its requests reuses a prefill of another, for fair timings."""
        other = copy.copy(self)
        other._salted = True
        yield other

    def room_for(self, requests: int) -> AbstractContextManager[None]:
        """Do nothing: the server decides which prefills it keeps."""
        return nullcontext()

    def encode(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages or text into tokens; see `sra_rag.Engine.encode`."""
        return self.encoder.encode(prompt, context=context, passages=passages, template_kwargs=template_kwargs)

    def generate(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generation:
        """Answer one prompt; see `sra_rag.Engine.generate`.

        Raises
        ------
        ConfigError, PromptError, ContextOverflowError
            If the request is not allowed, here or there.
        GenerationTimeoutError
            If seconds do not suffice.
        VLLMServerError
            If the server cannot be reached, or fails.
        """
        return self.generate_batch([prompt], **arguments)[0]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        **arguments: Unpack[RequestArguments],
    ) -> list[Generation]:
        """Answer several prompts, `in_flight` at once, each with its own context; otherwise as `generate`."""
        if not prompts:
            return []
        request, bodies = self._read(prompts, arguments, contexts, passage_lists)
        at_once = asyncio.Semaphore(self.in_flight)

        async def one(number: int) -> Generation:
            async with at_once:
                return await self._answer(request, number, bodies[number], lambda _: None)

        async def all_of_them() -> list[Generation]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(number)) for number in range(len(prompts))]
            return [task.result() for task in tasks]

        work = self._loop.submit(one(0) if len(prompts) == 1 else all_of_them())
        try:
            done: Any = work.result()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            work.cancel()
        return [done] if len(prompts) == 1 else done

    def stream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generator[TextDelta, None, None]:
        """Answer one prompt piece by piece; see `sra_rag.Engine.stream`. The request is checked at the call."""
        request, [body] = self._read([prompt], arguments)
        return self._stream(request, body)

    def answer_likelihood(
        self,
        prompt: Prompt,
        answer: str,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
        sra: SRALike = None,
        shares: AttentionShares | None = None,
        cancel: Cancellation | None = None,
    ) -> Likelihood:
        """Measure how likely an answer is behind a prompt; see `sra_rag.generation.likelihood.answer_likelihood`.

        vLLM reads the whole prompt anew for it.

        Raises
        ------
        ConfigError
            If the server cannot tell, or does not honour `sra`, or `shares` are given.
        PromptError, ContextOverflowError
            If the answer is empty, or too long together with the prompt.
        """
        started = time.perf_counter()
        if shares is not None:
            raise ConfigError(f"{self.where} does not report where attention falls. Leave shares out.")
        if not self.measures_likelihood:
            raise ConfigError(
                f"{self.where} does not tell how likely an answer is: it takes no tokens. Serve with vLLM, or leave "
                "likelihoods out."
            )
        encoded = self.encode(prompt, context=context, passages=passages, template_kwargs=template_kwargs)
        answer_ids = self.encoder.encode_rendered(self.encoder.shield(answer)).token_ids
        if not answer_ids or not encoded.token_ids:
            raise PromptError("The prompt or the answer is empty. Give at least one token of each.")
        length = len(encoded.token_ids)
        if length + len(answer_ids) + 1 > self.context_window:  # the server generates one token in any case
            raise ContextOverflowError(length, len(answer_ids) + 1, self.context_window)
        request = Request((encoded,), SRAConfig.coerce(sra), self.options, cancel or Cancellation())
        refuse_unservable(self.model, dataclasses.replace(request, options=SamplingOptions()))
        tokens = [*encoded.token_ids, *answer_ids]
        settings = settings_body(
            self.model, request.sra, encoded.context_length, prompt_length=length, salt=self._salt()
        )
        said = self._loop.submit(self._score(tokens, settings, request.cancel)).result()
        rows = (said.choices[0].model_extra or {}).get("prompt_logprobs") or []
        if len(rows) != len(tokens):
            raise ConfigError(f"{self.where} does not tell how likely a prompt's tokens are. Serve with vLLM.")
        found = tuple(float(rows[at][str(tokens[at])]["logprob"]) for at in range(length, len(tokens)))
        return Likelihood(found, length, 0, time.perf_counter() - started)

    def _read(
        self,
        prompts: Sequence[Prompt],
        arguments: RequestArguments,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
    ) -> tuple[Request, list[dict[str, Any]]]:
        request = read_request(
            prompts,
            arguments,
            contexts,
            passage_lists,
            encode=self.encode,
            sra=self.sra,
            options=self.options,
            context_window=self.context_window,
        )
        refuse_unservable(self.model, request)
        if self.model.takes_tokens:
            return request, [token_body(self.model, one, request, self._salt()) for one in request.prompts]
        has_kwargs = bool(arguments.get("template_kwargs"))
        return request, [chat_body(self.model, one, request, has_kwargs) for one in prompts]

    def _salt(self) -> str | None:
        return uuid.uuid4().hex if self._salted else None

    def _stream(self, request: Request, body: dict[str, Any]) -> Generator[TextDelta, None, None]:
        arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        work = self._loop.submit(self._answer(request, 0, body, arrived.put))
        work.add_done_callback(lambda _: arrived.put(None))
        try:
            while (text := arrived.get()) is not None:
                yield TextDelta(text)
            yield TextDelta("", work.result())
        finally:
            work.cancel()

    async def _answer(
        self, request: Request, number: int, body: dict[str, Any], on_text: Callable[[str], None]
    ) -> Generation:
        """Ask, and look out for a cancellation and for the time; leaving closes the connection, which ends it there."""
        reply = Reply(self.where, request.prompts[number], request)
        reading = asyncio.ensure_future(self._gather(body, reply, on_text))
        timeout = request.options.timeout
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=_LOOK_AGAIN)
                if not reading.done() and request.cancel.is_set():
                    return reply.cancelled()
                if not reading.done() and timeout is not None and time.perf_counter() - reply.started > timeout:
                    raise GenerationTimeoutError(
                        f"The answer was not done after timeout={timeout} s, with {len(reply.token_ids)} tokens "
                        "written, waiting at the server included. Allow more seconds, or fewer tokens (max_new_tokens, "
                        "or fewer passages)."
                    )
            return await reading
        finally:
            await _ended(reading)

    async def _gather(self, body: dict[str, Any], reply: Reply, on_text: Callable[[str], None]) -> Generation:
        completions: Any = self._client.completions if self.model.takes_tokens else self._client.chat.completions
        with server_errors(self.where):
            async with await completions.create(**body) as chunks:
                async for chunk in chunks:
                    if text := reply.take(chunk):
                        on_text(text)
        return reply.ended()

    async def _score(self, tokens: list[int], settings: dict[str, Any], cancel: Cancellation) -> Any:
        async def ask() -> Any:
            with server_errors(self.where):
                return await self._client.completions.create(
                    model=self.name, prompt=tokens, max_tokens=1, temperature=0.0,
                    extra_body={"prompt_logprobs": 0, **settings},
                )  # fmt: skip

        asking = asyncio.ensure_future(ask())
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=_LOOK_AGAIN)
                if cancel.is_set():
                    raise asyncio.CancelledError
            return await asking
        finally:
            await _ended(asking)


async def _ended(work: asyncio.Future[Any]) -> None:
    """End work that is not done."""
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
