"""`ServedEngine`: a model on a server with an OpenAI-compatible API, with the interface of `Engine`.

Prompts are tokenized here, as for a model in this process. So document text never becomes a control token, and the end
of the context is known. vLLM accepts token ids as a prompt. A server that does not accept them receives messages; it
cannot use Scaled ReAttention, so requests with settings are rejected.
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

import openai  # noqa: E402 - after the check that the extra is installed

from vllm_sra.client.background_loop import BackgroundLoop  # noqa: E402
from vllm_sra.client.served_evidence import ServedEvidence  # noqa: E402
from vllm_sra.client.served_model import ServedModel, find_model  # noqa: E402
from vllm_sra.client.served_reply import Reply  # noqa: E402
from vllm_sra.client.served_request import chat_body, refuse_unservable, settings_body, token_body  # noqa: E402
from vllm_sra.client.server_errors import server_errors  # noqa: E402

__all__ = ["ServedEngine"]

_POLL_INTERVAL = 0.05  # seconds between two checks whether a request was cancelled


class ServedEngine:
    """Answers prompts with a model on a server. Thread-safe.

    Parameters
    ----------
    model
        Description of the model, from `vllm_sra.client.served_model.find_model`. `ServedEngine.at` creates the
        description and the engine.
    api_key
        API key; required if the server checks one. It never appears in messages or descriptions.
    options
        Default sampling options.
    sra
        Default settings of Scaled ReAttention; None means off.
    in_flight
        Maximum number of concurrent requests of a batch.
    where
        Name of the server in error messages; by default its address.
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
        self._evidence = ServedEvidence(model)
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
        """Create an engine for the model at an address.

        Parameters
        ----------
        address, model, tokenizer, api_key, context_window
            See `vllm_sra.client.served_model.find_model`.
        **arguments
            Other arguments of `ServedEngine`.
        """
        served_model = find_model(
            address, model=model, tokenizer=tokenizer, api_key=api_key, context_window=context_window
        )  # fmt: skip
        return cls(served_model, api_key=api_key, **arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel running requests and close the connection. The engine cannot be used afterwards."""
        self._loop.close(self._client.close())

    @property
    def weighs_evidence(self) -> bool:
        """Whether settings may have evidence: if the server supports it and the heads of the model are known here."""
        return self.model.returns_evidence and self._evidence.known

    @property
    def measures_likelihood(self) -> bool:
        """Whether `answer_likelihood` is supported: not on a server that accepts only messages."""
        return self.model.takes_tokens

    @property
    def server_versions(self) -> Mapping[str, str]:
        """Known versions of the software on the server."""
        return self.model.versions

    @property
    def name(self) -> str:
        """Name of the model on the server."""
        return self.model.name

    @property
    def context_window(self) -> int:
        """Maximum number of tokens of prompt and answer together."""
        return self.model.context_window

    def describe(self) -> dict[str, Any]:
        """Return a description of the model; the hash of the weights on a server is not known."""
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
        """Yield a copy of this engine that never reuses the prefill of another request, for fair timings."""
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
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Tokenize messages or text; see `sra_rag.Engine.encode`."""
        return self.encoder.encode(
            prompt, context=context, passages=passages, passage_scores=passage_scores, template_kwargs=template_kwargs
        )

    def generate(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generation:
        """Answer one prompt; see `sra_rag.Engine.generate`.

        Raises
        ------
        ConfigError, PromptError, ContextOverflowError
            If the request is not valid or is rejected by the server.
        GenerationTimeoutError
            If the answer is not complete within the timeout.
        VLLMServerError
            If the server cannot be reached or fails.
        """
        return self.generate_batch([prompt], **arguments)[0]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        score_lists: Sequence[Sequence[float] | None] | None = None,
        **arguments: Unpack[RequestArguments],
    ) -> list[Generation]:
        """Answer several prompts, up to `in_flight` concurrently, each with its context; otherwise like `generate`."""
        if not prompts:
            return []
        request, bodies = self._read(prompts, arguments, contexts, passage_lists, score_lists)
        semaphore = asyncio.Semaphore(self.in_flight)

        async def answer(number: int) -> Generation:
            async with semaphore:
                return await self._answer(request, number, bodies[number], lambda _: None)

        async def answer_all() -> list[Generation]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(answer(number)) for number in range(len(prompts))]
            return [task.result() for task in tasks]

        work = self._loop.submit(answer(0) if len(prompts) == 1 else answer_all())
        try:
            result: Any = work.result()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            work.cancel()
        return [result] if len(prompts) == 1 else result

    def stream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generator[TextDelta, None, None]:
        """Stream the answer to one prompt; see `sra_rag.Engine.stream`. The request is validated immediately."""
        request, [body] = self._read([prompt], arguments)
        return self._stream(request, body)

    def answer_likelihood(
        self,
        prompt: Prompt,
        answer: str,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
        sra: SRALike = None,
        shares: AttentionShares | None = None,
        cancel: Cancellation | None = None,
    ) -> Likelihood:
        """Measure the likelihood of an answer after a prompt; see `sra_rag.generation.likelihood.answer_likelihood`.

        vLLM processes the whole prompt again for it.

        Raises
        ------
        ConfigError
            If the server does not return likelihoods or does not support `sra`, or if `shares` is given.
        PromptError, ContextOverflowError
            If the answer is empty, or if prompt and answer are too long.
        """
        started = time.perf_counter()
        if shares is not None:
            raise ConfigError(f"{self.where} does not report attention weights. Remove shares.")
        if not self.measures_likelihood:
            raise ConfigError(
                f"{self.where} does not return likelihoods of answers, as it does not accept token ids. Serve with "
                "vLLM, or do not measure likelihoods."
            )
        encoded = self.encode(
            prompt, context=context, passages=passages, passage_scores=passage_scores, template_kwargs=template_kwargs
        )
        answer_ids = self.encoder.encode_rendered(self.encoder.shield(answer)).token_ids
        if not answer_ids or not encoded.token_ids:
            raise PromptError("The prompt or the answer is empty. Give at least one token of each.")
        length = len(encoded.token_ids)
        if length + len(answer_ids) + 1 > self.context_window:  # the server always generates at least one token
            raise ContextOverflowError(length, len(answer_ids) + 1, self.context_window)
        request = self._fitted(Request((encoded,), SRAConfig.coerce(sra), SamplingOptions(), cancel or Cancellation()))
        tokens = [*encoded.token_ids, *answer_ids]
        response = self._loop.submit(self._score(encoded, list(answer_ids), request)).result()
        rows = (response.choices[0].model_extra or {}).get("prompt_logprobs") or []
        if len(rows) != len(tokens):
            raise ConfigError(f"{self.where} does not return the likelihoods of prompt tokens. Serve with vLLM.")
        log_probabilities = tuple(
            float(rows[index][str(tokens[index])]["logprob"]) for index in range(length, len(tokens))
        )
        return Likelihood(log_probabilities, length, 0, time.perf_counter() - started)

    def _read(
        self,
        prompts: Sequence[Prompt],
        arguments: RequestArguments,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        score_lists: Sequence[Sequence[float] | None] | None = None,
    ) -> tuple[Request, Sequence[dict[str, Any] | None]]:
        """Return the request, and the bodies of a server that receives messages; others depend on the evidence."""
        request = read_request(
            prompts,
            arguments,
            contexts,
            passage_lists,
            score_lists,
            encode=self.encode,
            sra=self.sra,
            options=self.options,
            context_window=self.context_window,
        )
        request = self._fitted(request)
        if self.model.takes_tokens:
            return request, [None] * len(prompts)
        has_kwargs = bool(arguments.get("template_kwargs"))
        return request, [chat_body(self.model, prompt, request, has_kwargs) for prompt in prompts]

    def _fitted(self, request: Request) -> Request:
        """Return the request with settings for this model, or raise if the server does not support them."""
        refuse_unservable(self.model, request)
        request = dataclasses.replace(request, sra=self._evidence.fitted(request.sra))
        if request.sra is not None and request.sra.evidence is not None:
            for choice in (request.sra.evidence.look, request.sra.evidence.heads):
                self._evidence.heads(choice)  # before anything is sent, as it may be impossible
        return request

    def _salt(self) -> str | None:
        return uuid.uuid4().hex if self._salted else None

    def _stream(self, request: Request, body: dict[str, Any] | None) -> Generator[TextDelta, None, None]:
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        work = self._loop.submit(self._answer(request, 0, body, pieces.put))
        work.add_done_callback(lambda _: pieces.put(None))
        try:
            while (text := pieces.get()) is not None:
                yield TextDelta(text)
            yield TextDelta("", work.result())
        finally:
            work.cancel()

    async def _answer(
        self, request: Request, number: int, body: dict[str, Any] | None, on_text: Callable[[str], None]
    ) -> Generation:
        """Send a request and check for cancellation and timeout. Closing the connection ends the work on the server."""
        reply = Reply(self.where, request.prompts[number], request)
        reading = asyncio.ensure_future(self._gather(body, reply, on_text))
        timeout = request.options.timeout
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=_POLL_INTERVAL)
                if not reading.done() and request.cancel.is_set():
                    return reply.cancelled()
                if not reading.done() and timeout is not None and time.perf_counter() - reply.started > timeout:
                    raise GenerationTimeoutError(
                        f"The answer was not complete after timeout={timeout} s, with {len(reply.token_ids)} tokens "
                        "generated. The time includes waiting at the server. Increase the timeout, or use fewer tokens "
                        "(max_new_tokens, or fewer passages)."
                    )
            return await reading
        finally:
            await _cancelled(reading)

    async def _gather(self, body: dict[str, Any] | None, reply: Reply, on_text: Callable[[str], None]) -> Generation:
        completions: Any = self._client.completions if self.model.takes_tokens else self._client.chat.completions
        if body is None:
            salt = self._salt()
            evidence = await self._evidence.prepared(self._client, reply.prompt, reply.request.sra, salt, self.where)
            reply.evidence, reply.look_usage = evidence.found, evidence.usage
            body = token_body(self.model, reply.prompt, reply.request, salt, evidence)
        with server_errors(self.where):
            async with await completions.create(**body) as chunks:
                async for chunk in chunks:
                    if text := reply.add(chunk):
                        on_text(text)
                    if reply.repeated:  # leaving the block closes the connection, which ends the work on the server
                        break
        if text := reply.finish():
            on_text(text)
        return reply.complete()

    async def _score(self, prompt: EncodedPrompt, answer: list[int], request: Request) -> Any:
        async def request_scores() -> Any:
            salt = self._salt()
            evidence = await self._evidence.prepared(self._client, prompt, request.sra, salt, self.where)
            settings = settings_body(
                self.model, evidence, prompt.context_length, prompt_length=len(prompt.token_ids), salt=salt
            )
            with server_errors(self.where):
                return await self._client.completions.create(
                    model=self.name, prompt=[*prompt.token_ids, *answer], max_tokens=1, temperature=0.0,
                    extra_body={"prompt_logprobs": 0, **settings},
                )  # fmt: skip

        scoring = asyncio.ensure_future(request_scores())
        try:
            while not scoring.done():
                await asyncio.wait({scoring}, timeout=_POLL_INTERVAL)
                if request.cancel.is_set():
                    raise asyncio.CancelledError
            return await scoring
        finally:
            await _cancelled(scoring)


async def _cancelled(work: asyncio.Future[Any]) -> None:
    """Cancel work that is not complete, and wait until it has ended."""
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
